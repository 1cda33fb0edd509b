/*
 * Stands in for the database and host rooms: a database here is a folder with one text file. What
 * the program says decides what happens: `bad` does not compile, `init` fails at init, `sched` has
 * schedules, `breaking` cannot replace another, `refused` is refused by the data.
 */
#ifndef FAKE_DATABASE_H
#define FAKE_DATABASE_H

#include "server/lc_server.h"

typedef struct fake_counts {
    atomic_uint created, opened, closed, freed, updated, disconnected;
    atomic_int durability; /* lc_durability of the last open */
} fake_counts;
extern fake_counts fake;
/* How long an open takes, whether opens fail, and whether they do only for writing. */
extern atomic_uint fake_open_millis;
extern atomic_bool fake_open_fails, fake_write_fails;
/* The program that the database runs; heap. */
char *fake_program(lc_database *db);
/* As when the journal breaks. Calls on_failed. */
void fake_fail(lc_database *db);
void fake_reset(void);

#endif
