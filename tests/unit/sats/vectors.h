/* Loader of tests/vectors/bsatn.json, on the room's own pull parser. */
#ifndef LC_SATS_VECTORS_H
#define LC_SATS_VECTORS_H

#include "sats_gen.h"

/* An entry of one of the lists: the fields' JSON texts as they stand in the file, by name. */
typedef struct vector_case {
    lc_span names[16], texts[16];
    uint32_t count;
} vector_case;

/* Calls each(case, arg) for every entry of the list, whose number is returned. */
size_t vectors_each(const char *list, void (*each)(lc_arena *a, const vector_case *c, void *arg),
                    void *arg);
/* JSON text of a field; ptr NULL when absent. */
lc_span vector_json(const vector_case *c, const char *name);
/* A field that is a string. */
const char *vector_text(lc_arena *a, const vector_case *c, const char *name);
/* Calls each element's JSON text of a JSON array. */
void json_each(lc_span array, void (*each)(lc_span element, void *arg), void *arg);
/* The same JSON without blanks outside of strings (which hold no quotes in this file). */
void json_compact(lc_span json, lc_buf *out);

#endif
