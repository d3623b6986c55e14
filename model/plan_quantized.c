#include "formats/hf_config.h"
#include "model/plan_build.h"

#include <inttypes.h>
#include <string.h>

/* "gptq", and its bits where it says them. */
static bool refuse(const char *method, const json_t *section, struct err *err)
{
    uint64_t bits = 0;
    bool four = false, eight = false;
    if (!hf_config_u64(section, "bits|w_bit", &bits, err) ||
        !hf_config_bool(section, "load_in_4bit", &four, err) ||
        !hf_config_bool(section, "load_in_8bit", &eight, err))
        return false;
    if (bits == 0)
        bits = four ? 4 : eight ? 8 : 0;
    if (bits == 0)
        return err_set(err, ERR_UNSUPPORTED,
                       "the weights are already quantized by %.60s: start from the model's float "
                       "checkpoint",
                       method);
    return err_set(err, ERR_UNSUPPORTED,
                   "the weights are already quantized by %.60s (%" PRIu64
                   " bits): start from the model's float checkpoint",
                   method, bits);
}

static bool read_block(const json_t *section, uint64_t *rows, uint64_t *cols, struct err *err)
{
    const json_t *block = hf_config_find(section, "weight_block_size");
    if (!block)
        return true;
    const json_int_t r = json_integer_value(json_array_get(block, 0));
    const json_int_t c = json_integer_value(json_array_get(block, 1));
    if (r < 1 || c < 1)
        return err_set(err, ERR_FORMAT,
                       "config.json: 'weight_block_size' is not two sizes above 0");
    *rows = (uint64_t)r;
    *cols = (uint64_t)c;
    return true;
}

bool plan_check_quantization(const json_t *config, uint64_t *fp8_rows, uint64_t *fp8_cols,
                             struct err *err)
{
    *fp8_rows = *fp8_cols = 0;
    const json_t *section = hf_config_find(config, "quantization_config|compression_config");
    if (!section)
        return true;
    const char *method = "an unnamed method", *format = "";
    if (!hf_config_text(section, "quant_method", &method, err) ||
        !hf_config_text(section, "format", &format, err))
        return false;
    if (strcmp(method, "fp8") != 0 &&
        !(strcmp(method, "compressed-tensors") == 0 && strcmp(format, "float-quantized") == 0))
        return refuse(method, section, err);
    return read_block(section, fp8_rows, fp8_cols, err);
}
