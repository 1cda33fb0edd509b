/*
 * Messages of a subscription (03 section 6.2) as lines of JSON.
 */
#ifndef LC_CLI_UPDATES_H
#define LC_CLI_UPDATES_H

#include "cli/cli.h"

typedef enum lc_update_kind {
    LC_UPDATE_OTHER,   /* nothing to print */
    LC_UPDATE_INITIAL, /* the rows at the start */
    LC_UPDATE_CHANGE,
} lc_update_kind;

/* One message, compression byte included: appends {"TABLE":{"deletes":[...],"inserts":[...]},...}
 * and a line end. A refused subscription is an error. */
lc_status lc_update_print(const lc_remote_schema *s, lc_span message, lc_update_kind *kind,
                          lc_buf *line, lc_error *err);

#endif
