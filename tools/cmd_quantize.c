#include "tools/command.h"

#include "tools/make.h"

/* llama-quantize's way to say it: SOURCE OUT TYPE. */
static void take_arguments(struct make_options *o, int argc, char **argv)
{
    o->source = argv[0];
    if (argc > 1)
        o->out = argv[1];
    if (argc > 2)
        o->type = argv[2];
}

/* clang-format off */
#define OPT_BUDGET(o) \
    OPT_HEADING("Types by measured sensitivity (with --calib)"), \
    {"like", 0, OPT_TEXT, &(o)->like, "TYPE", \
     "in no more bytes than the mixture of that name takes"}, \
    {"target-size", 0, OPT_BYTES, &(o)->target_size, "SIZE", \
     "a file of at most that size: 4.5GiB, 700MB"}, \
    {"target-bpw", 0, OPT_NUMBER, &(o)->target_bpw, "BITS", "at most so many bits a weight"}, \
    {"types", 0, OPT_TEXT, &(o)->types, "LIST", \
     "the types to choose from (default: Q2_K to Q6_K, IQ4_XS, Q8_0, and those of 32 columns)"}, \
    {"probe", 0, OPT_TEXT, &(o)->probe, "TEXT", \
     "the calibration text to measure on, where --calib is a file"}, \
    {"sensitivity", 0, OPT_TEXT, &(o)->sensitivity, "FILE.json", \
     "what was measured: read where it is there, else written, for the next budget"}
/* clang-format on */

static bool run_quantize(const struct command *me, int argc, char **argv, struct err *err)
{
    struct session s = {0};
    struct make_options o = {.type = "Q4_K_M", .flavour = "stock"};
    struct opt_list overrides = {0};
    bool done;
    const struct opt table[] = {
        {"output", 'o', OPT_TEXT, &o.out, "OUT.gguf", "the file to write"},
        OPT_FORCE(&s.common),
        {"type", 0, OPT_TEXT, &o.type, "TYPE",
         "the recipe, one of `quern codecs` (default: Q4_K_M)"},
        {"imatrix", 0, OPT_TEXT, &o.imatrix, "FILE",
         "importance of the columns: llama.cpp's .dat or .gguf"},
        {"calib", 0, OPT_TEXT, &o.calib, "CALIB.h5",
         "what `quern calibrate` found; or a text, which is then calibrated on first"},
        {"method", 0, OPT_TEXT, &o.method, "METHOD",
         "gptq: errors are made up for by what calibration knows; awq: with factors that spare the "
         "columns that matter; awq+gptq: both (default with --calib); rtn: each weight by itself"},
        {"quality", 0, OPT_TEXT, &o.quality, "HOW",
         "gptq's pains: best (the default), or fast, in a third of the time"},
        {"sequential", 0, OPT_FLAG, &o.sequential, NULL,
         "gptq for what the layers before, already quantized, make of the text (--calib, or with a "
         "calib.h5 --probe)"},
        {"report", 0, OPT_TEXT, &o.report, "FILE.json", "write the table as JSON, too"},
        {"verify", 0, OPT_FLAG, &o.verify, NULL,
         "then compare every tensor of the file with its source"},
        {"check", 0, OPT_TEXT, &o.check, "TEXT",
         "then measure on a text how far its predictions are from the source's"},
        {"dry-run", 0, OPT_FLAG, &o.dry_run, NULL,
         "say what would be done and how large the file would be"},
        {"no-table", 0, OPT_FLAG, &o.no_table, NULL, "only the totals, not a line a tensor"},
        OPT_HEADING("Which tensor gets which type"),
        {"tensor-type", 0, OPT_LIST, &overrides, "REGEX=TYPE",
         "tensors whose name the regular expression finds get TYPE; may be given again, the first "
         "that matches counts"},
        {"output-type", 0, OPT_TEXT, &o.recipe.output_type, "TYPE",
         "the output matrix (of a tied model: the embedding)"},
        {"embedding-type", 0, OPT_TEXT, &o.recipe.embedding_type, "TYPE", "the token embedding"},
        {"leave-output", 0, OPT_FLAG, &o.recipe.leave_output, NULL,
         "the output matrix stays as it is in the source"},
        {"pure", 0, OPT_FLAG, &o.recipe.pure, NULL, "one type for all, no mixture"},
        {"recipe", 0, OPT_TEXT, &o.flavour, "RULES",
         "whose mixture: stock (llama.cpp of 2026) or stock-2025; or a file of lines NAME=TYPE"},
        {"recipe-out", 0, OPT_TEXT, &o.recipe_out, "FILE", "write the types as such a file"},
        {"no-fallback", 0, OPT_FLAG, &o.recipe.no_fallback, NULL,
         "refuse where columns do not divide into TYPE's blocks, instead of a larger type"},
        {"salient", 0, OPT_NUMBER, &o.salient, "PERCENT",
         "with --calib: tensors whose few columns carry much, up to that part of the weights, get "
         "the next type"},
        OPT_BUDGET(&o),
        OPT_HEADING("The source"),
        {"allow-requantize", 0, OPT_FLAG, &o.allow_requantize, NULL,
         "quantize what is quantized already"},
        {"allow-nan", 0, OPT_FLAG, &o.allow_nan, NULL,
         "keep NaN and infinities out of the search and store 0 in their place (they are counted)"},
        {"name", 0, OPT_TEXT, &o.plan.name, "NAME", "general.name (default: from the source)"},
        {"pre", 0, OPT_TEXT, &o.plan.pre, "NAME",
         "the pre-tokenizer's name in llama.cpp, where it is not recognised"},
        OPT_COMMON(&s.common),
        OPT_END,
    };
    bool ok = command_parse(me, table, &s.common, &argc, argv, 1, 3, &done, err);
    if (ok && !done) {
        take_arguments(&o, argc, argv);
        o.recipe.overrides = overrides.text;
        o.recipe.override_count = overrides.count;
        ok = session_open(&s, err) && make_run(&o, &s, err);
    }
    session_close(&s);
    opt_list_close(&overrides);
    return ok;
}

const struct command cmd_quantize = {
    .name = "quantize",
    .usage = "SOURCE -o OUT.gguf [--type TYPE] [OPTION]...",
    .summary = "a model folder or GGUF to a quantized GGUF, with what was lost",
    .text =
        "SOURCE is a model folder, a safetensors file, or a GGUF; `quern quantize SOURCE OUT "
        "TYPE`\n"
        "works, too. The types are those of llama.cpp, and so are the files; the search for the\n"
        "scales is quern's own and leaves less error at the same bytes.\n\n"
        "  quern quantize Llama-3.2-1B -o llama-3.2-1b-Q4_K_M.gguf --type Q4_K_M\n"
        "  quern quantize model-F16.gguf -o out.gguf --type Q2_K --imatrix imatrix.gguf\n"
        "  quern quantize model --type Q3_K_M --tensor-type 'attn_v=Q6_K' --dry-run\n\n"
        "With --calib the errors of a layer's weights make up for one another (GPTQ), and types "
        "can be chosen by what they cost the model's predictions. A run of GPTQ that was "
        "stopped or killed goes on where it was.\n\n"
        "  quern quantize model -o model-Q4_K_M.gguf --type Q4_K_M --calib text.txt\n"
        "  quern quantize model -o out.gguf --like Q4_K_M --calib calib.h5 --probe text\n",
    .run = run_quantize,
};
