/* Chat templates: every row is told by its strings, and conversations as the models saw them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "model/chat_template.h"

#include <string.h>

/* The telling strings of each row, put together, find that row. */
static void every_row_is_found_by_what_tells_it(void **state)
{
    (void)state;
    const struct chat_family *f;
    for (size_t i = 0; (f = chat_family_at(i)) != NULL; i++)
        for (size_t g = 0; g < CHAT_TELLS && f->tell[g][0]; g++) {
            char text[300] = "";
            for (size_t j = 0; j < CHAT_TELL_STRINGS && f->tell[g][j]; j++) {
                strcat(text, " {{ ");
                strcat(text, f->tell[g][j]);
            }
            const struct chat_family *found = chat_family_find(text, strlen(text));
            assert_non_null(found);
            assert_string_equal(found->name, f->name);
        }
}

static void other_texts_are_no_template(void **state)
{
    (void)state;
    assert_null(chat_family_find("", 0));
    assert_null(chat_family_find("{{ messages[0].content }}", 25));
    assert_null(chat_family_find("<|im_start|>", 11)); /* not past its length */
}

static void quotes_and_newlines_are_spelled_either_way(void **state)
{
    (void)state;
    static const char *const spelled[] = {
        "{{ '<|user|>\n' + message['content'] + eos_token }}",
        "{{ \"<|user|>\\n\" + message[\"content\"] + eos_token }}",
    };
    for (size_t i = 0; i < 2; i++) {
        const struct chat_family *f = chat_family_find(spelled[i], strlen(spelled[i]));
        assert_non_null(f);
        assert_string_equal(f->name, "zephyr");
    }
}

static void talk(const char *family, const char *wanted)
{
    struct chat c = {.bos = {"<s>", 3}, .eos = {"</s>", 4}};
    struct token_text out = {0};
    for (size_t i = 0; (c.family = chat_family_at(i)) && strcmp(c.family->name, family) != 0;)
        i++;
    assert_non_null(c.family);
    assert_true(chat_turn(&c, "Be brief.", " Hello\n", 7, &out, NULL));
    assert_true(token_text_add(&out, "Hi!", 3, NULL));
    assert_true(chat_turn(&c, "not again", "Bye", 3, &out, NULL));
    assert_true(token_text_add(&out, "", 1, NULL));
    assert_string_equal(out.text, wanted);
    token_text_close(&out);
}

static void conversations_are_written_as_the_family_does(void **state)
{
    (void)state;
    talk("chatml", "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n Hello\n<|im_end|>\n"
                   "<|im_start|>assistant\nHi!<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n"
                   "<|im_start|>assistant\n");
    talk("llama2-sys-strip", "[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHello [/INST]Hi! </s><s>"
                             "[INST] Bye [/INST]");
    talk("gemma", "<start_of_turn>user\nBe brief.\n\nHello<end_of_turn>\n<start_of_turn>model\n"
                  "Hi!<end_of_turn>\n<start_of_turn>user\nBye<end_of_turn>\n"
                  "<start_of_turn>model\n");
    talk("mistral-v7", "[SYSTEM_PROMPT] Be brief.[/SYSTEM_PROMPT][INST]  Hello\n[/INST]Hi!</s>"
                       "[INST] Bye[/INST]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_found_by_what_tells_it),
        cmocka_unit_test(other_texts_are_no_template),
        cmocka_unit_test(quotes_and_newlines_are_spelled_either_way),
        cmocka_unit_test(conversations_are_written_as_the_family_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
