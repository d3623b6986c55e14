#include "model/chat_template.h"

#include <stdlib.h>
#include <string.h>

/* Rows that have the same strings stand from the special to the general. */
static const struct chat_family table[] = {
    {
        .name = "phi4",
        .tell = {{"<|im_start|>", "<|im_sep|>"}},
        .system = "<|im_start|>system<|im_sep|>",
        .system_end = "<|im_end|>",
        .user = "<|im_start|>user<|im_sep|>",
        .user_end = "<|im_end|>",
        .answer = "<|im_start|>assistant<|im_sep|>",
        .answer_end = "<|im_end|>",
    },
    {
        .name = "chatml", /* Qwen, Yi, SmolLM, Hermes ... */
        .tell = {{"<|im_start|>"}},
        .system = "<|im_start|>system\n",
        .system_end = "<|im_end|>\n",
        .user = "<|im_start|>user\n",
        .user_end = "<|im_end|>\n",
        .answer = "<|im_start|>assistant\n",
        .answer_end = "<|im_end|>\n",
    },
    {
        .name = "mistral-v7", /* Mistral Large 2411 */
        .tell = {{"[INST]", "[SYSTEM_PROMPT] "}},
        .system = "[SYSTEM_PROMPT] ",
        .system_end = "[/SYSTEM_PROMPT]",
        .user = "[INST] ",
        .user_end = "[/INST]",
        .answer = "",
        .answer_end = "{eos}",
    },
    {
        .name = "mistral-v7-tekken", /* Mistral Small 2501 */
        .tell = {{"[INST]", "[SYSTEM_PROMPT]"}},
        .system = "[SYSTEM_PROMPT]",
        .system_end = "[/SYSTEM_PROMPT]",
        .user = "[INST]",
        .user_end = "[/INST]",
        .answer = "",
        .answer_end = "{eos}",
    },
    {
        .name = "mistral-v1", /* Mistral 7B 0.1 and 0.2, Mixtral */
        .tell = {{"' [INST] ' + system_message"}, {"[AVAILABLE_TOOLS]", "' [INST]"}},
        .system = "",
        .system_end = "\n\n",
        .system_inside = true,
        .user = " [INST] ",
        .user_end = " [/INST]",
        .answer = "",
        .answer_end = "{eos}",
    },
    {
        .name = "mistral-v3-tekken", /* Mistral Nemo, Ministral */
        .tell = {{"[AVAILABLE_TOOLS]", "'[INST]'"}},
        .system = "",
        .system_end = "\n\n",
        .system_inside = true,
        .user = "[INST]",
        .user_end = "[/INST]",
        .answer = "",
        .answer_end = "{eos}",
    },
    {
        .name = "mistral-v3", /* Mistral 7B 0.3 */
        .tell = {{"[AVAILABLE_TOOLS]"}, {"'[INST] ' + system_message"}},
        .system = "",
        .system_end = "\n\n",
        .system_inside = true,
        .user = "[INST] ",
        .user_end = "[/INST]",
        .answer = "",
        .answer_end = "{eos}",
    },
    {
        .name = "llama2-sys-strip", /* Llama 2 Chat, Code Llama */
        .tell = {{"[INST]", "<<SYS>>", "bos_token + '[INST]"}},
        .system = "<<SYS>>\n",
        .system_end = "\n<</SYS>>\n\n",
        .system_inside = true,
        .between = "{bos}",
        .user = "[INST] ",
        .user_end = " [/INST]",
        .answer = "",
        .answer_end = " {eos}",
        .trims = true,
    },
    {
        .name = "llama2-sys",
        .tell = {{"[INST]", "<<SYS>>"}},
        .system = "<<SYS>>\n",
        .system_end = "\n<</SYS>>\n\n",
        .system_inside = true,
        .user = "[INST] ",
        .user_end = " [/INST]",
        .answer = "",
        .answer_end = "{eos}",
    },
    {
        .name = "llama2", /* the first template of Mistral 7B */
        .tell = {{"[INST]"}},
        .system = "",
        .system_end = "\n",
        .system_inside = true,
        .user = "[INST] ",
        .user_end = " [/INST]",
        .answer = "",
        .answer_end = "{eos}",
    },
    {
        .name = "phi3",
        .tell = {{"<|assistant|>", "<|end|>"}},
        .system = "<|system|>\n",
        .system_end = "<|end|>\n",
        .user = "<|user|>\n",
        .user_end = "<|end|>\n",
        .answer = "<|assistant|>\n",
        .answer_end = "<|end|>\n",
    },
    {
        .name = "zephyr", /* and TinyLlama, StableLM */
        .tell = {{"'<|user|>\n' + message['content'] + eos_token"}, {"<|user|>", "<|endoftext|>"}},
        .system = "<|system|>\n",
        .system_end = "{eos}\n",
        .user = "<|user|>\n",
        .user_end = "{eos}\n",
        .answer = "<|assistant|>\n",
        .answer_end = "{eos}\n",
    },
    {
        .name = "tulu", /* OLMo 2, Tulu, Falcon 3 */
        .tell = {{"'<|user|>\n' + message['content'] + '\n'", "<|assistant|>"}},
        .system = "<|system|>\n",
        .system_end = "\n",
        .user = "<|user|>\n",
        .user_end = "\n",
        .answer = "<|assistant|>\n",
        .answer_end = "{eos}\n",
    },
    {
        .name = "gemma",
        .tell = {{"<start_of_turn>"}},
        .system = "",
        .system_end = "\n\n",
        .system_inside = true,
        .user = "<start_of_turn>user\n",
        .user_end = "<end_of_turn>\n",
        .answer = "<start_of_turn>model\n",
        .answer_end = "<end_of_turn>\n",
        .trims = true,
    },
    {
        .name = "openchat",
        .tell = {{"GPT4 Correct "}},
        .system = "GPT4 Correct System: ",
        .system_end = "<|end_of_turn|>",
        .user = "GPT4 Correct User: ",
        .user_end = "<|end_of_turn|>",
        .answer = "GPT4 Correct Assistant:",
        .answer_end = "<|end_of_turn|>",
    },
    {
        .name = "vicuna-orca",
        .tell = {{"USER: ", "ASSISTANT: ", "SYSTEM: "}},
        .system = "SYSTEM: ",
        .system_end = "\n",
        .user = "USER: ",
        .user_end = "\n",
        .answer = "ASSISTANT:",
        .answer_end = "{eos}\n",
    },
    {
        .name = "vicuna",
        .tell = {{"USER: ", "ASSISTANT: "}},
        .system = "",
        .system_end = "\n\n",
        .user = "USER: ",
        .user_end = "\n",
        .answer = "ASSISTANT:",
        .answer_end = "{eos}\n",
    },
    {
        .name = "deepseek", /* DeepSeek Coder */
        .tell = {{"### Instruction:", "<|EOT|>"}},
        .system = "",
        .system_end = "",
        .user = "### Instruction:\n",
        .user_end = "\n",
        .answer = "### Response:\n",
        .answer_end = "\n<|EOT|>\n",
    },
    {
        .name = "deepseek2", /* DeepSeek LLM and V2 */
        .tell = {{"'Assistant: ' + message['content'] + eos_token"}},
        .system = "",
        .system_end = "\n\n",
        .user = "User: ",
        .user_end = "\n\n",
        .answer = "Assistant:",
        .answer_end = "{eos}",
    },
    {
        .name = "deepseek3", /* DeepSeek V2.5, V3, R1 */
        .tell = {{"<\uff5cUser\uff5c>", "<\uff5cAssistant\uff5c>"}},
        .system = "",
        .system_end = "",
        .user = "<\uff5cUser\uff5c>",
        .user_end = "",
        .answer = "<\uff5cAssistant\uff5c>",
        .answer_end = "{eos}",
    },
    {
        .name = "command-r",
        .tell = {{"<|START_OF_TURN_TOKEN|>", "<|USER_TOKEN|>"}},
        .system = "<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>",
        .system_end = "<|END_OF_TURN_TOKEN|>",
        .user = "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>",
        .user_end = "<|END_OF_TURN_TOKEN|>",
        .answer = "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
        .answer_end = "<|END_OF_TURN_TOKEN|>",
        .trims = true,
    },
    {
        .name = "llama3",
        .tell = {{"<|start_header_id|>", "<|end_header_id|>"}},
        .system = "<|start_header_id|>system<|end_header_id|>\n\n",
        .system_end = "<|eot_id|>",
        .user = "<|start_header_id|>user<|end_header_id|>\n\n",
        .user_end = "<|eot_id|>",
        .answer = "<|start_header_id|>assistant<|end_header_id|>\n\n",
        .answer_end = "<|eot_id|>",
        .trims = true,
    },
    {
        .name = "llama4",
        .tell = {{"<|header_start|>", "<|header_end|>"}},
        .system = "<|header_start|>system<|header_end|>\n\n",
        .system_end = "<|eot|>",
        .user = "<|header_start|>user<|header_end|>\n\n",
        .user_end = "<|eot|>",
        .answer = "<|header_start|>assistant<|header_end|>\n\n",
        .answer_end = "<|eot|>",
        .trims = true,
    },
    {
        .name = "granite",
        .tell = {{"<|start_of_role|>", "<|end_of_role|>"}},
        .system = "<|start_of_role|>system<|end_of_role|>",
        .system_end = "<|end_of_text|>\n",
        .user = "<|start_of_role|>user<|end_of_role|>",
        .user_end = "<|end_of_text|>\n",
        .answer = "<|start_of_role|>assistant<|end_of_role|>",
        .answer_end = "<|end_of_text|>\n",
    },
};

const struct chat_family *chat_family_at(size_t i)
{
    return i < sizeof table / sizeof table[0] ? &table[i] : NULL;
}

static bool tells(const char *const string[CHAT_TELL_STRINGS], const char *text)
{
    for (size_t i = 0; i < CHAT_TELL_STRINGS && string[i]; i++)
        if (!strstr(text, string[i]))
            return false;
    return string[0] != NULL;
}

/* A copy where newlines and quotes are spelled one way, as templates spell them in two. */
static char *plain_copy(const char *text, size_t length)
{
    char *plain = malloc(length + 1), *to = plain;
    for (size_t i = 0; plain && i < length; i++, to++) {
        *to = text[i];
        if (text[i] == '"')
            *to = '\'';
        if (text[i] == '\\' && i + 1 < length && text[i + 1] == 'n') {
            *to = '\n';
            i++;
        }
    }
    if (plain)
        *to = '\0';
    return plain;
}

const struct chat_family *chat_family_find(const char *text, size_t length)
{
    const struct chat_family *found = NULL;
    char *plain = plain_copy(text, length);
    for (size_t i = 0; plain && !found && i < sizeof table / sizeof table[0]; i++)
        for (size_t j = 0; !found && j < CHAT_TELLS; j++)
            if (tells(table[i].tell[j], plain))
                found = &table[i];
    free(plain);
    return found;
}

/* Appends a string of the row. */
static bool add(const struct chat *c, const char *string, struct token_text *out, struct err *err)
{
    static const char bos[] = "{bos}", eos[] = "{eos}";
    bool ok = true;
    while (ok && *string) {
        const size_t n = strcspn(string, "{");
        ok = token_text_add(out, string, n, err);
        string += n;
        if (!ok || *string == '\0')
            break;
        const bool is_bos = strncmp(string, bos, sizeof bos - 1) == 0;
        const struct meta_text *name = is_bos ? &c->bos : &c->eos;
        ok = token_text_add(out, name->text, name->length, err);
        string += is_bos ? sizeof bos - 1 : sizeof eos - 1;
    }
    return ok;
}

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static bool add_text(const struct chat *c, const char *text, size_t length, struct token_text *out,
                     struct err *err)
{
    while (c->family->trims && length > 0 && is_space(text[length - 1]))
        length--;
    while (c->family->trims && length > 0 && is_space(*text))
        text++, length--;
    return token_text_add(out, text, length, err);
}

static bool add_system(const struct chat *c, const char *system, struct token_text *out,
                       struct err *err)
{
    return add(c, c->family->system, out, err) && add_text(c, system, strlen(system), out, err) &&
           add(c, c->family->system_end, out, err);
}

bool chat_turn(struct chat *c, const char *system, const char *text, size_t length,
               struct token_text *out, struct err *err)
{
    const struct chat_family *f = c->family;
    const bool first = c->turns++ == 0;
    return (first ||
            (add(c, f->answer_end, out, err) && add(c, f->between ? f->between : "", out, err))) &&
           (!first || !system || f->system_inside || add_system(c, system, out, err)) &&
           add(c, f->user, out, err) &&
           (!first || !system || !f->system_inside || add_system(c, system, out, err)) &&
           add_text(c, text, length, out, err) && add(c, f->user_end, out, err) &&
           add(c, f->answer, out, err);
}
