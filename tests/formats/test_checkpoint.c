/* Folders, shards, index files: what is opened, and the sentence where nothing is. */
#include "formats/checkpoint.h"
#include "tests/formats/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define I8(name, begin, end)                                                                       \
    "\"" name "\":{\"dtype\":\"I8\",\"shape\":[4],\"data_offsets\":[" #begin "," #end "]}"
#define A  "{" I8("a", 0, 4) "}"
#define B  "{" I8("b", 0, 4) "}"
#define AB "{" I8("a", 0, 4) "," I8("b", 4, 8) "}"

static const char shard_1[] = "model-00001-of-00002.safetensors";
static const char shard_2[] = "model-00002-of-00002.safetensors";
static const char index_name[] = "model.safetensors.index.json";

static void opens(const char *path, const char *container, size_t tensors, size_t files)
{
    struct checkpoint c;
    struct err err = {0};
    if (!checkpoint_open(&c, path, &err))
        fail_msg("%s", err.text);
    assert_string_equal(c.container->name, container);
    assert_int_equal(c.tensors, tensors);
    assert_int_equal(c.maps, files);
    checkpoint_close(&c);
    checkpoint_close(&c); /* harmless */
}

/* `sentence`: what follows the scratch folder's path; to its end unless it ends in "...". */
static void refused(struct scratch *s, const char *path, enum err_code code, const char *sentence)
{
    struct checkpoint c;
    struct err err = {0};
    if (checkpoint_open(&c, path, &err))
        fail_msg("was opened; expected %s", sentence);
    assert_int_equal(c.tensors, 0);
    const size_t folder = strlen(s->folder), length = strlen(sentence);
    const size_t compare =
        length > 3 && strcmp(sentence + length - 3, "...") == 0 ? length - 3 : length + 1;
    if (err.code != code || strncmp(err.text, s->folder, folder) != 0 ||
        strncmp(err.text + folder, sentence, compare) != 0)
        fail_msg("\n  expected %d FOLDER%s\n  but was  %d %s", code, sentence, err.code, err.text);
}

static void write_index(struct scratch *s, const char *a_in, const char *b_in)
{
    char text[256];
    snprintf(text, sizeof text, "{\"metadata\":{},\"weight_map\":{\"a\":\"%s\",\"b\":\"%s\"}}",
             a_in, b_in);
    scratch_text(s, index_name, text);
}

static void a_folder_gives_its_one_model(void **state)
{
    (void)state;
    struct scratch s;
    scratch_open(&s);
    refused(&s, s.folder, ERR_UNSUPPORTED,
            ": no model file in this folder; quern reads safetensors, GGUF");
    scratch_text(&s, "tokenizer.json", "{}");
    scratch_text(&s, "._model.safetensors", "what macOS leaves behind");
    scratch_safetensors(&s, "weights.safetensors", A, 4);
    opens(s.folder, "safetensors", 1, 1);
    scratch_safetensors(&s, "other.safetensors", A, 4);
    refused(&s, s.folder, ERR_USAGE,
            ": several models in this folder: other.safetensors and weights.safetensors; name the "
            "file to open");
    scratch_safetensors(&s, "model.safetensors", AB, 8); /* the name that decides */
    opens(s.folder, "safetensors", 2, 1);
    scratch_text(&s, "model.gguf", "GGUF"); /* what it was perhaps made into */
    opens(s.folder, "safetensors", 2, 1);
    opens(scratch_path(&s, "weights.safetensors"), "safetensors", 1, 1);
    scratch_close(&s);
}

static void containers_that_are_not_read_are_named(void **state)
{
    (void)state;
    struct scratch s;
    scratch_open(&s);
    scratch_text(&s, "pytorch_model.bin", "PK\3\4");
    refused(&s, s.folder, ERR_UNSUPPORTED,
            ": has pytorch_model.bin (PyTorch), which quern does not read; it reads safetensors, "
            "GGUF");
    refused(&s, scratch_path(&s, "pytorch_model.bin"), ERR_UNSUPPORTED,
            "/pytorch_model.bin: a PyTorch file, which quern does not read; it reads safetensors, "
            "GGUF");
    scratch_text(&s, "tf_model.h5", "\x89HDF");
    refused(&s, s.folder, ERR_UNSUPPORTED,
            ": has pytorch_model.bin (PyTorch) and tf_model.h5 (HDF5), which quern does not read; "
            "it reads safetensors, GGUF");
    scratch_text(&s, "config.json", "{}");
    refused(&s, scratch_path(&s, "config.json"), ERR_UNSUPPORTED,
            "/config.json: not a model file that quern reads (safetensors, GGUF)");
    refused(&s, scratch_path(&s, "nothing"), ERR_IO,
            "/nothing: cannot open: No such file or directory");
    scratch_close(&s);
}

static void every_door_to_a_sharded_model_opens_all_of_it(void **state)
{
    (void)state;
    struct scratch s;
    scratch_open(&s);
    scratch_safetensors(&s, shard_1, A, 4);
    refused(&s, s.folder, ERR_IO,
            "/model-00001-of-00002.safetensors: model-00002-of-00002.safetensors is missing, one "
            "of the 2 files of this model");
    scratch_safetensors(&s, shard_2, B, 4);
    opens(s.folder, "safetensors", 2, 2); /* by the names */
    opens(scratch_path(&s, shard_2), "safetensors", 2, 2);
    write_index(&s, shard_1, shard_2);
    opens(s.folder, "safetensors", 2, 2); /* by the index */
    opens(scratch_path(&s, shard_1), "safetensors", 2, 2);
    opens(scratch_path(&s, index_name), "safetensors", 2, 2);
    scratch_safetensors(&s, "model.safetensors", AB, 8);
    refused(&s, s.folder, ERR_USAGE,
            ": several models in this folder: model.safetensors.index.json and model.safetensors; "
            "name the file to open");
    write_index(&s, "model.safetensors", "model.safetensors"); /* as some tools do for one file */
    unlink(scratch_path(&s, shard_1));
    unlink(scratch_path(&s, shard_2));
    opens(s.folder, "safetensors", 2, 1);
    scratch_close(&s);
}

static void shards_of_two_sets_clash(void **state)
{
    (void)state;
    struct scratch s;
    scratch_open(&s);
    scratch_safetensors(&s, shard_1, A, 4);
    scratch_safetensors(&s, shard_2, B, 4);
    scratch_safetensors(&s, "model-00001-of-00001.safetensors", AB, 8);
    refused(&s, s.folder, ERR_USAGE, ": several models in this folder: ...");
    opens(scratch_path(&s, shard_1), "safetensors", 2, 2);
    opens(scratch_path(&s, "model-00001-of-00001.safetensors"), "safetensors", 2, 1);
    scratch_safetensors(&s, "model-00003-of-00002.safetensors", A, 4);
    refused(&s, scratch_path(&s, "model-00003-of-00002.safetensors"), ERR_FORMAT,
            "/model-00003-of-00002.safetensors: there is no shard 3 of 2");
    scratch_close(&s);
}

/* Numbers of five digits, a total of six: as one large model was published. */
static void numbers_of_any_width_are_followed(void **state)
{
    (void)state;
    struct scratch s;
    scratch_open(&s);
    scratch_safetensors(&s, "x-00001-of-000002.safetensors", A, 4);
    scratch_safetensors(&s, "x-00002-of-000002.safetensors", B, 4);
    opens(scratch_path(&s, "x-00002-of-000002.safetensors"), "safetensors", 2, 2);
    opens(s.folder, "safetensors", 2, 2);
    scratch_close(&s);
}

static void index_and_shards_must_agree(void **state)
{
    (void)state;
    struct scratch s;
    scratch_open(&s);
    scratch_safetensors(&s, shard_1, A, 4);
    scratch_safetensors(&s, shard_2, B, 4);
    write_index(&s, shard_1, "model-00009-of-00009.safetensors");
    refused(&s, s.folder, ERR_IO,
            "/model.safetensors.index.json: model-00009-of-00009.safetensors is missing, one of "
            "the 2 files of this model");
    refused(&s, scratch_path(&s, shard_2), ERR_FORMAT,
            "/model-00002-of-00002.safetensors: the index beside it, "
            "model.safetensors.index.json, does not name it");
    write_index(&s, "no-1", "no-2");
    refused(&s, s.folder, ERR_IO,
            "/model.safetensors.index.json: no-1 and 1 more of the 2 files of this model are "
            "missing");
    write_index(&s, shard_2, shard_1);
    refused(&s, s.folder, ERR_FORMAT,
            "/model.safetensors.index.json: says that tensor 'a' is in "
            "model-00002-of-00002.safetensors, but it is in model-00001-of-00002.safetensors");
    write_index(&s, shard_1, "../model.safetensors");
    refused(&s, s.folder, ERR_FORMAT,
            "/model.safetensors.index.json: tensor 'b': '../model.safetensors' is not a plain "
            "file name");
    scratch_text(&s, index_name, "{\"weight_map\":{\"a\":7}}");
    refused(&s, s.folder, ERR_FORMAT,
            "/model.safetensors.index.json: tensor 'a': '' is not a plain file name");
    scratch_text(&s, index_name, "{\"weight_map\":[]}");
    refused(&s, s.folder, ERR_FORMAT,
            "/model.safetensors.index.json: no 'weight_map' that names tensors and their files");
    scratch_text(&s, index_name, "{\"weight_map\":");
    refused(&s, s.folder, ERR_FORMAT, "/model.safetensors.index.json: line 1, column 14: ...");
    write_index(&s, shard_1, shard_2);
    scratch_safetensors(&s, shard_2, "{" I8("b", 0, 4) "," I8("c", 4, 8) "}", 8);
    refused(&s, s.folder, ERR_FORMAT,
            "/model.safetensors.index.json: does not name tensor 'c' of "
            "model-00002-of-00002.safetensors (the index names 2 tensors, the files hold 3)");
    scratch_safetensors(&s, shard_2, "{}", 0);
    refused(&s, s.folder, ERR_FORMAT,
            "/model.safetensors.index.json: says that tensor 'b' is in "
            "model-00002-of-00002.safetensors, which does not have it (the index names 2 tensors, "
            "the files hold 1)");
    scratch_close(&s);
}

static void a_tensor_in_two_shards_is_refused(void **state)
{
    (void)state;
    struct scratch s;
    scratch_open(&s);
    scratch_safetensors(&s, shard_1, AB, 8);
    scratch_safetensors(&s, shard_2, B, 4);
    refused(&s, s.folder, ERR_FORMAT,
            "/model-00001-of-00002.safetensors: tensor 'b' is also in ...");
    scratch_close(&s);
}

static void broken_files_are_named(void **state)
{
    (void)state;
    struct scratch s;
    scratch_open(&s);
    scratch_safetensors(&s, shard_1, A, 4);
    scratch_safetensors(&s, shard_2, B, 3);
    refused(&s, s.folder, ERR_FORMAT,
            "/model-00002-of-00002.safetensors: tensor 'b': data ends at byte 4 after the header, "
            "the file at 3: it is cut short");
    scratch_text(&s, shard_2, "");
    refused(&s, s.folder, ERR_FORMAT,
            "/model-00002-of-00002.safetensors: 0 bytes are too few for a safetensors file");
    static const char lfs[] = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
    scratch_text(&s, shard_2, lfs);
    refused(&s, s.folder, ERR_FORMAT,
            "/model-00002-of-00002.safetensors: only a Git LFS pointer to the file; fetch it with "
            "'git lfs pull'");
    scratch_text(&s, "x.gguf", lfs);
    refused(&s, scratch_path(&s, "x.gguf"), ERR_FORMAT, "/x.gguf: only a Git LFS pointer to ...");
    scratch_safetensors(&s, shard_2, B, 4);
    scratch_text(&s, "config.json", "[]");
    refused(&s, s.folder, ERR_FORMAT, "/config.json: not a JSON object");
    scratch_text(&s, "config.json", "{\"a\":}");
    refused(&s, s.folder, ERR_FORMAT, "/config.json: line 1, column ...");
    scratch_close(&s);
}

static void tensors_are_found_by_name_and_know_their_file(void **state)
{
    (void)state;
    struct checkpoint c;
    struct err err = {0};
    if (!checkpoint_open(&c, "tests/golden/models/llama_sharded/", &err))
        fail_msg("%s", err.text);
    assert_string_equal(c.folder, "tests/golden/models/llama_sharded");
    assert_int_equal(json_integer_value(json_object_get(c.config, "hidden_size")), 64);
    assert_string_equal(json_string_value(json_object_get(c.header, "format")), "pt");
    for (size_t i = 0; i < c.tensors; i++) {
        const struct tensor *t = &c.tensor[i];
        assert_ptr_equal(checkpoint_find(&c, t->name), t);
        size_t file = 0;
        while (file < c.maps && !(t->data >= c.map[file].data &&
                                  t->data + t->bytes <= c.map[file].data + c.map[file].size))
            file++;
        assert_true(file < c.maps);
        assert_string_equal(checkpoint_file_of(&c, t), c.file[file]);
        const struct tensor copy = *t;
        const uint8_t first = t->data[0];
        checkpoint_release(&c, &copy);
        assert_int_equal(t->data[0], first);
    }
    assert_null(checkpoint_find(&c, "model.embed_tokens"));
    assert_null(checkpoint_find(&c, ""));
    checkpoint_close(&c);
    assert_null(checkpoint_find(&c, "model.norm.weight"));
}

/* The shards were cut from the whole model. */
static void a_sharded_model_equals_the_whole(void **state)
{
    (void)state;
    struct checkpoint whole, cut;
    struct err err = {0};
    assert_true(checkpoint_open(&whole, "tests/golden/models/llama", &err));
    assert_true(checkpoint_open(&cut, "tests/golden/models/llama_sharded", &err));
    assert_int_equal(cut.tensors, whole.tensors);
    assert_int_equal(cut.maps, 4);
    for (size_t i = 0; i < whole.tensors; i++) {
        const struct tensor *t = &whole.tensor[i], *u = checkpoint_find(&cut, t->name);
        assert_non_null(u);
        assert_ptr_equal(u->dtype, t->dtype);
        assert_int_equal(u->dims, t->dims);
        assert_memory_equal(u->shape, t->shape, sizeof t->shape);
        assert_int_equal(u->bytes, t->bytes);
        assert_memory_equal(u->data, t->data, t->bytes);
    }
    checkpoint_close(&whole);
    checkpoint_close(&cut);
}

static uint64_t member(const struct checkpoint *c, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(c->config, name));
}

static void golden_models_have_the_tensors_their_config_asks_for(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        size_t per_layer, others;
        enum dtype_id dtype;
    } golden[] = {
        {"tests/golden/models/llama", 9, 3, DTYPE_F16},
        {"tests/golden/models/llama3", 9, 2, DTYPE_F16}, /* tied */
        {"tests/golden/models/llama_bf16", 9, 3, DTYPE_BF16},
        {"tests/golden/models/llama_sharded", 9, 3, DTYPE_F16},
        {"tests/golden/models/deepseek_coder", 9, 3, DTYPE_F16},
        {"tests/golden/models/mistral", 9, 3, DTYPE_F16},
        {"tests/golden/models/qwen2", 12, 2, DTYPE_F16}, /* q, k, v biases; tied */
        {"tests/golden/models/qwen3", 11, 3, DTYPE_F16}, /* q, k norms */
    };
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        struct checkpoint c;
        struct err err = {0};
        if (!checkpoint_open(&c, golden[i].path, &err))
            fail_msg("%s", err.text);
        const struct tensor *embed = checkpoint_find(&c, "model.embed_tokens.weight");
        const struct tensor *down = checkpoint_find(&c, "model.layers.1.mlp.down_proj.weight");
        assert_int_equal(c.tensors,
                         golden[i].per_layer * member(&c, "num_hidden_layers") + golden[i].others);
        assert_true(embed && embed->dims == 2);
        assert_int_equal(embed->shape[0], member(&c, "vocab_size"));
        assert_int_equal(embed->shape[1], member(&c, "hidden_size"));
        assert_int_equal(embed->dtype->id, golden[i].dtype);
        assert_true(down && down->dims == 2);
        assert_int_equal(down->shape[0], member(&c, "hidden_size"));
        assert_int_equal(down->shape[1], member(&c, "intermediate_size"));
        checkpoint_close(&c);
    }
}

static void every_container_has_its_row(void **state)
{
    (void)state;
    char names[CONTAINER_NAMES];
    container_names(names);
    size_t rows = 0;
    for (const struct container *row; (row = container_at(rows)); rows++) {
        assert_true(row->suffix[0] == '.' && row->summary[0] && row->probe && row->open);
        assert_non_null(strstr(names, row->name));
        assert_false(row->probe("file", (const uint8_t *)"", 0));
    }
    assert_true(rows > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_gives_its_one_model),
        cmocka_unit_test(containers_that_are_not_read_are_named),
        cmocka_unit_test(every_door_to_a_sharded_model_opens_all_of_it),
        cmocka_unit_test(shards_of_two_sets_clash),
        cmocka_unit_test(numbers_of_any_width_are_followed),
        cmocka_unit_test(index_and_shards_must_agree),
        cmocka_unit_test(a_tensor_in_two_shards_is_refused),
        cmocka_unit_test(broken_files_are_named),
        cmocka_unit_test(tensors_are_found_by_name_and_know_their_file),
        cmocka_unit_test(a_sharded_model_equals_the_whole),
        cmocka_unit_test(golden_models_have_the_tensors_their_config_asks_for),
        cmocka_unit_test(every_container_has_its_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
