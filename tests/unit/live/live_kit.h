/* A store with a few tables, and shorthand for changing and reading it. */
#ifndef LIVE_KIT_H
#define LIVE_KIT_H

#include "lc_test.h"
#include "live/lc_live.h"

/* item (id u32 key, owner u32, kind u8, name string), point (x i32, y i32; no key),
 * ping (id u32; event table), secret (id u32 key; private), note (id u32 key, author identity). */
typedef struct live_kit {
    lc_store *store;
    lc_arena arena;
    lc_table *item, *point, *ping, *secret, *note;
    lc_live *live;
} live_kit;

void live_kit_init(live_kit *k);
void live_kit_deinit(live_kit *k);

void put_item(live_kit *k, uint32_t id, uint32_t owner, uint8_t kind, const char *name);
void update_item(live_kit *k, uint32_t id, uint32_t owner, uint8_t kind, const char *name);
void delete_item(live_kit *k, uint32_t id);
void put_note(live_kit *k, uint32_t id, const lc_identity *author);
void put_u32(lc_table *t, uint32_t id);
void toggle_point(live_kit *k, int32_t x, int32_t y); /* inserts it or, when there, deletes it */

lc_caller caller_number(uint32_t n);
lc_caller the_owner(void);
/* Evaluates a query from scratch. */
void evaluate(live_kit *k, const char *sql, const lc_caller *caller, lc_rowset *rows);

#endif
