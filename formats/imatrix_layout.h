/* imatrix_layout.h - the names in a GGUF file that holds an importance matrix, for its reader
 * and its writer. */
#ifndef FORMATS_IMATRIX_LAYOUT_H
#define FORMATS_IMATRIX_LAYOUT_H

#define IMATRIX_TYPE        "imatrix" /* general.type */
#define IMATRIX_DATASETS    "imatrix.datasets"
#define IMATRIX_CHUNK_COUNT "imatrix.chunk_count"
#define IMATRIX_CHUNK_SIZE  "imatrix.chunk_size"
#define IMATRIX_SUMS        ".in_sum2"
#define IMATRIX_COUNTS      ".counts"

#endif
