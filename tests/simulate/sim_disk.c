#include "sim_disk.h"

#include "sim_inode.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

typedef struct entry {
    char *name;
    sim_inode *inode;
} entry;
typedef LC_VEC(entry) entries;

/* An unsynced change of a folder's names. */
typedef struct name_change {
    uint64_t order;
    sim_inode *inode;
    char *removed; /* NULL: none */
    char *added;
} name_change;

struct sim_folder {
    char *path;
    sim_folder *parent; /* NULL: the root */
    bool is_there;
    bool is_durable; /* its name is in the parent for good */
    uint64_t order;  /* of making it */
    entries now, durable;
    LC_VEC(name_change) changes;
};

struct lc_file {
    sim_inode *inode;
    char *path; /* as opened */
    bool can_write;
    uint32_t failures; /* of syncs of the inode that this handle knows of */
};

/* ------------------------------------------------------------------- names */

static sim_folder *find_folder(const sim_disk *d, lc_span path)
{
    while (path.len > 1 && path.ptr[path.len - 1] == '/') path.len--;
    LC_VEC_EACH (f, &d->folders)
        if ((*f)->is_there && lc_span_equal_str(path, (*f)->path)) return *f;
    return NULL;
}

/* The folder a path is in; *name points into the path. */
static sim_folder *folder_of(const sim_disk *d, const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');
    LC_ASSERT(slash);
    *name = slash + 1;
    return find_folder(d, LC_SPAN(path, slash == path ? 1 : (size_t)(slash - path)));
}

static entry *find_entry(entries *list, const char *name)
{
    LC_VEC_EACH (e, list)
        if (!strcmp(e->name, name)) return e;
    return NULL;
}

static void remove_entry(entries *list, entry *e)
{
    lc_free(e->name);
    *e = list->items[--list->len];
}

static void set_entry(entries *list, const char *name, sim_inode *inode)
{
    entry *e = find_entry(list, name);
    if (e)
        e->inode = inode;
    else
        lc_vec_push(list, ((entry){lc_strdup(name), inode}));
}

static void clear_entries(entries *list)
{
    LC_VEC_EACH (e, list) lc_free(e->name);
    list->len = 0;
}

static void copy_entries(entries *to, const entries *from)
{
    clear_entries(to);
    LC_VEC_EACH (e, from) lc_vec_push(to, ((entry){lc_strdup(e->name), e->inode}));
}

static void apply(entries *list, const name_change *c)
{
    entry *e = c->removed ? find_entry(list, c->removed) : NULL;
    if (e && e->inode == c->inode) remove_entry(list, e);
    if (c->added) set_entry(list, c->added, c->inode);
}

static void change_names(sim_disk *d, sim_folder *f, sim_inode *inode, const char *removed,
                         const char *added)
{
    name_change c = {
        .order = d->order,
        .inode = inode,
        .removed = removed ? lc_strdup(removed) : NULL,
        .added = added ? lc_strdup(added) : NULL,
    };
    apply(&f->now, &c);
    lc_vec_push(&f->changes, c);
}

static void forget_changes(sim_folder *f)
{
    LC_VEC_EACH (c, &f->changes) {
        lc_free(c->removed);
        lc_free(c->added);
    }
    f->changes.len = 0;
}

static sim_folder *add_folder(sim_disk *d, lc_span path, sim_folder *parent)
{
    sim_folder *f = lc_alloc_zero(sizeof *f);
    f->path = lc_span_to_cstr(path);
    f->parent = parent;
    f->is_there = true;
    f->order = d->order;
    lc_vec_push(&d->folders, f);
    return f;
}

static sim_inode *add_inode(sim_disk *d)
{
    sim_inode *n = sim_inode_create();
    n->id = ++d->inode_count;
    lc_vec_push(&d->inodes, n);
    return n;
}

/* Frees files that nobody can reach any more. */
static void collect_garbage(sim_disk *d)
{
    LC_VEC_EACH (n, &d->inodes) (*n)->is_named = false;
    LC_VEC_EACH (f, &d->folders) {
        LC_VEC_EACH (e, &(*f)->now) e->inode->is_named = true;
        LC_VEC_EACH (e, &(*f)->durable) e->inode->is_named = true;
        LC_VEC_EACH (c, &(*f)->changes) c->inode->is_named = true;
    }
    size_t kept = 0;
    LC_VEC_EACH (n, &d->inodes) {
        if ((*n)->is_named || (*n)->handles)
            d->inodes.items[kept++] = *n;
        else
            sim_inode_destroy(*n);
    }
    d->inodes.len = kept;
}

/* -------------------------------------------------------- faults and death */

static bool is_of_log(const char *path)
{
    size_t n = strlen(path);
    return strstr(path, "/clog") && !(n > 4 && !strcmp(path + n - 4, ".ofs"));
}

static int fault(sim_disk *d, const char *path, int error)
{
    d->faults++;
    if (is_of_log(path)) d->log_faults++;
    sim_note("  disk: %s: %s", path, strerror(error));
    return -error;
}

static uint64_t hash_text(const char *s)
{
    return lc_crc32c(0, s, strlen(s));
}

/* Every operation comes through here: 0, or the error it ends with. */
static int enter(sim_disk *d, sim_op op, const char *path)
{
    if (d->is_dead) return -EIO;
    sim_mix((uint64_t)op << 32 ^ hash_text(path));
    sim_fault *f = &d->fault;
    if ((f->kinds & op) && (!f->match || strstr(path, f->match))) {
        if (f->skip > 0) {
            f->skip--;
        } else {
            if (--f->count == 0) f->kinds = 0;
            return fault(d, path, f->error);
        }
    }
    return 0;
}

typedef enum death { ALIVE, DIES_BEFORE, DIES_AFTER } death;

/* Whether the machine stops in the middle of this change. */
static death change(sim_disk *d)
{
    d->order++;
    d->changes++;
    if (!d->die_after || --d->die_after) return ALIVE;
    d->is_dead = true;
    return sim_one_in(&d->random, 2) ? DIES_BEFORE : DIES_AFTER;
}

/* Begins a change: returns true when it is to be made. *rc is what the caller is told. */
static bool begin_change(sim_disk *d, sim_op op, const char *path, int *rc)
{
    *rc = enter(d, op, path);
    if (*rc) return false;
    death dies = change(d);
    if (dies != ALIVE) *rc = -EIO;
    return dies != DIES_BEFORE;
}

uint64_t sim_disk_used(const sim_disk *d)
{
    uint64_t sum = 0;
    LC_VEC_EACH (f, &d->folders)
        if ((*f)->is_there)
            LC_VEC_EACH (e, &(*f)->now) sum += e->inode->now.len;
    return sum;
}

/* How many more bytes there is room for. */
static uint64_t room(const sim_disk *d)
{
    if (!d->budget) return UINT64_MAX;
    uint64_t used = sim_disk_used(d);
    return used < d->budget ? d->budget - used : 0;
}

/* -------------------------------------------------------------- operations */

static int disk_open(void *self, const char *path, int flags, lc_file **out)
{
    sim_disk *d = self;
    int rc = enter(d, SIM_OP_OPEN, path);
    if (rc) return rc;
    const char *name;
    sim_folder *f = folder_of(d, path, &name);
    if (!f) return -ENOENT;
    entry *e = find_entry(&f->now, name);
    if (e && (flags & O_EXCL)) return -EEXIST;
    sim_inode *inode = e ? e->inode : NULL;
    if (!e && find_folder(d, lc_span_of_str(path))) {
        if (flags & (O_WRONLY | O_RDWR)) return -EISDIR;
    } else if (!e) {
        if (!(flags & O_CREAT)) return -ENOENT;
        if (room(d) == 0) return fault(d, path, ENOSPC);
        if (!begin_change(d, SIM_OP_CREATE, path, &rc)) return rc;
        inode = add_inode(d);
        change_names(d, f, inode, NULL, name);
        if (rc) return rc;
    } else if (flags & O_TRUNC && inode->now.len) {
        if (begin_change(d, SIM_OP_TRUNCATE, path, &rc)) sim_inode_truncate(inode, 0, d->order);
        if (rc) return rc;
    }
    *out = lc_alloc(sizeof **out);
    **out = (lc_file){inode, lc_strdup(path), flags & (O_WRONLY | O_RDWR), 0};
    if (inode) {
        inode->handles++;
        (*out)->failures = inode->failures;
    }
    d->open_files++;
    return 0;
}

static void disk_close(void *self, lc_file *f)
{
    sim_disk *d = self;
    if (f->inode) {
        f->inode->handles--;
        if (f->inode->lock == f) f->inode->lock = NULL;
    }
    d->open_files--;
    lc_free(f->path);
    lc_free(f);
}

static ssize_t disk_pread(void *self, lc_file *f, void *buf, size_t n, uint64_t at)
{
    int rc = enter(self, SIM_OP_READ, f->path);
    if (rc) return rc;
    if (!f->inode) return -EISDIR;
    const lc_buf *b = &f->inode->now;
    if (at >= b->len) return 0;
    if (n > b->len - at) n = b->len - at;
    memcpy(buf, b->ptr + at, n);
    return (ssize_t)n;
}

/* How much of a write gets through that does not end: whole sectors. */
static size_t part_of(sim_disk *d, size_t n, uint64_t at)
{
    uint64_t end = (at + sim_below(&d->random, (uint32_t)n)) / SIM_SECTOR * SIM_SECTOR;
    return end > at ? end - at : 0;
}

static ssize_t disk_pwrite(void *self, lc_file *f, const void *buf, size_t n, uint64_t at)
{
    sim_disk *d = self;
    if (!f->can_write) return -EBADF;
    int rc = enter(d, SIM_OP_WRITE, f->path);
    size_t done = n;
    if (rc) {
        /* A part of it got through. */
        if (d->is_dead) return rc;
        done = part_of(d, n, at);
    } else {
        uint64_t size = f->inode->now.len, left = room(d);
        if (at + n > size && at + n - size > left) {
            uint64_t end = (size + left) / SIM_SECTOR * SIM_SECTOR;
            done = end > at ? end - at : 0;
            rc = fault(d, f->path, ENOSPC);
        }
    }
    death dies = change(d);
    if (dies == DIES_BEFORE) done = part_of(d, done, at);
    if (dies != ALIVE) rc = -EIO;
    sim_inode_write(f->inode, buf, done, at, d->order);
    sim_mix(at ^ (uint64_t)lc_crc32c(0, buf, done) << 20 ^ (uint64_t)done << 44);
    return rc ? rc : (ssize_t)n;
}

static sim_crash some_crash(sim_disk *d)
{
    sim_crash c = {.random = &d->random, .fate = (sim_fate)sim_below(&d->random, 4)};
    static const uint32_t parts[] = {20, 100, 500, 900, 980};
    c.permille = parts[sim_below(&d->random, LC_ARRAY_LEN(parts))];
    /* The last unsynced changes are those of which some may be there and some not. */
    uint64_t back = sim_skewed(&d->random, 8);
    c.until = c.fate == SIM_FATE_ANY && sim_one_in(&d->random, 2) ? 0
              : back < d->order                                   ? d->order - back
                                                                  : 0;
    return c;
}

static int disk_sync_data(void *self, lc_file *f)
{
    sim_disk *d = self;
    if (d->is_dead) return -EIO;
    int rc = enter(d, SIM_OP_SYNC, f->path);
    if (rc) {
        sim_crash crash = some_crash(d);
        sim_inode_sync_failed(f->inode, &crash);
        if (is_of_log(f->path)) d->log_syncs_failed++;
    }
    /* Whoever had the file open meanwhile is told, too. */
    if (f->inode->failures != f->failures) {
        f->failures = f->inode->failures;
        return rc ? rc : -EIO;
    }
    death dies = change(d);
    if (dies != DIES_BEFORE) sim_inode_sync(f->inode);
    return dies == ALIVE ? 0 : -EIO;
}

static int disk_truncate(void *self, lc_file *f, uint64_t size)
{
    sim_disk *d = self;
    int rc;
    if (!f->can_write) return -EINVAL;
    if (begin_change(d, SIM_OP_TRUNCATE, f->path, &rc)) {
        sim_inode_truncate(f->inode, size, d->order);
        sim_mix(size);
    }
    return rc;
}

static int64_t disk_size(void *self, lc_file *f)
{
    sim_disk *d = self;
    return d->is_dead ? -EIO : f->inode ? (int64_t)f->inode->now.len : 0;
}

static int disk_lock(void *self, lc_file *f)
{
    sim_disk *d = self;
    if (d->is_dead) return -EIO;
    if (!f->inode) return -EISDIR;
    if (f->inode->lock && f->inode->lock != f) return -EWOULDBLOCK;
    f->inode->lock = f;
    return 0;
}

static int disk_unlink(void *self, const char *path)
{
    sim_disk *d = self;
    int rc;
    const char *name;
    sim_folder *f = folder_of(d, path, &name);
    entry *e = f ? find_entry(&f->now, name) : NULL;
    if (!d->is_dead && !e) return -ENOENT;
    if (begin_change(d, SIM_OP_UNLINK, path, &rc)) change_names(d, f, e->inode, name, NULL);
    return rc;
}

static int disk_rename(void *self, const char *from, const char *to)
{
    sim_disk *d = self;
    int rc;
    const char *name, *new_name;
    sim_folder *f = folder_of(d, from, &name), *g = folder_of(d, to, &new_name);
    entry *e = f ? find_entry(&f->now, name) : NULL;
    if (!d->is_dead && (!e || !g)) return -ENOENT;
    LC_ASSERT(f == g); /* nobody moves files between folders */
    if (begin_change(d, SIM_OP_RENAME, from, &rc)) change_names(d, f, e->inode, name, new_name);
    return rc;
}

static int disk_mkdirs(void *self, const char *path)
{
    sim_disk *d = self;
    sim_folder *parent = find_folder(d, LC_STR("/"));
    for (const char *end = path; *end; end += *end != 0) {
        end = strchrnul(end + 1, '/');
        lc_span part = LC_SPAN(path, (size_t)(end - path));
        sim_folder *f = find_folder(d, part);
        if (!f) {
            int rc;
            if (!begin_change(d, SIM_OP_MKDIR, path, &rc)) return rc;
            f = add_folder(d, part, parent);
            if (rc) return rc;
        }
        parent = f;
        if (!*end) break;
    }
    return d->is_dead ? -EIO : 0;
}

static void sync_folder(sim_disk *d, sim_folder *f)
{
    copy_entries(&f->durable, &f->now);
    forget_changes(f);
    LC_VEC_EACH (below, &d->folders)
        if ((*below)->parent == f && (*below)->is_there) (*below)->is_durable = true;
    collect_garbage(d);
}

static int disk_sync_dir(void *self, const char *path)
{
    sim_disk *d = self;
    int rc;
    sim_folder *f = find_folder(d, lc_span_of_str(path));
    if (!d->is_dead && !f) return -ENOENT;
    if (begin_change(d, SIM_OP_SYNC_DIR, path, &rc)) sync_folder(d, f);
    return rc;
}

static int disk_list(void *self, const char *path, void (*each)(void *arg, const char *name),
                     void *arg)
{
    sim_disk *d = self;
    int rc = enter(d, SIM_OP_LIST, path);
    if (rc) return rc;
    sim_folder *f = find_folder(d, lc_span_of_str(path));
    if (!f) return -ENOENT;
    /* Names first: the caller may change the folder meanwhile. */
    LC_VEC(char *) names = {0};
    LC_VEC_EACH (below, &d->folders)
        if ((*below)->parent == f && (*below)->is_there)
            lc_vec_push(&names, lc_strdup(strrchr((*below)->path, '/') + 1));
    LC_VEC_EACH (e, &f->now) lc_vec_push(&names, lc_strdup(e->name));
    LC_VEC_EACH (name, &names) {
        each(arg, *name);
        lc_free(*name);
    }
    lc_vec_deinit(&names);
    return 0;
}

/* ------------------------------------------------------- beginning and end */

void sim_disk_init(sim_disk *d, uint64_t seed)
{
    *d = (sim_disk){
        .disk = {disk_open, disk_close, disk_pread, disk_pwrite, disk_sync_data, disk_truncate,
                 disk_size, disk_lock, disk_rename, disk_unlink, disk_mkdirs, disk_sync_dir,
                 disk_list, d},
        .random = {seed},
    };
    add_folder(d, LC_STR("/"), NULL)->is_durable = true;
}

void sim_disk_deinit(sim_disk *d)
{
    LC_VEC_EACH (n, &d->inodes) sim_inode_destroy(*n);
    LC_VEC_EACH (f, &d->folders) {
        clear_entries(&(*f)->now);
        clear_entries(&(*f)->durable);
        forget_changes(*f);
        lc_vec_deinit(&(*f)->now);
        lc_vec_deinit(&(*f)->durable);
        lc_vec_deinit(&(*f)->changes);
        lc_free((*f)->path);
        lc_free(*f);
    }
    lc_vec_deinit(&d->inodes);
    lc_vec_deinit(&d->folders);
}

static void revive(sim_disk *d)
{
    LC_ASSERT(d->open_files == 0);
    d->is_dead = false;
    d->die_after = 0;
}

void sim_disk_kill(sim_disk *d)
{
    revive(d);
    LC_VEC_EACH (n, &d->inodes) sim_inode_kill(*n);
}

static void power_off_folder(sim_folder *f, const sim_crash *crash)
{
    if (f->is_there && !f->is_durable)
        f->is_there = f->is_durable = f->parent->is_there && sim_crash_keeps(crash, f->order);
    if (f->is_there && f->parent && !f->parent->is_there) f->is_there = false;
    if (!f->is_there) clear_entries(&f->durable);
    LC_VEC_EACH (c, &f->changes)
        if (f->is_there && sim_crash_keeps(crash, c->order)) apply(&f->durable, c);
    forget_changes(f);
    copy_entries(&f->now, &f->durable);
}

void sim_disk_power_off(sim_disk *d)
{
    revive(d);
    sim_crash crash = some_crash(d);
    static const char *const fates[] = {"all", "nothing", "what came first", "any part"};
    sim_note("  disk: power off, keeps %s of what was not synced", fates[crash.fate]);
    LC_VEC_EACH (n, &d->inodes) sim_inode_power_off(*n, &crash);
    LC_VEC_EACH (f, &d->folders) power_off_folder(*f, &crash); /* parents come first */
    collect_garbage(d);
}

void sim_disk_make_folder(sim_disk *d, const char *path)
{
    disk_mkdirs(d, path);
    LC_VEC_EACH (f, &d->folders) (*f)->is_durable = true;
}

void sim_disk_copy(sim_disk *to, const sim_disk *from, uint64_t seed)
{
    sim_disk_init(to, seed);
    LC_VEC_EACH (f, &from->folders) {
        if (!(*f)->is_there) continue;
        sim_disk_make_folder(to, (*f)->path);
        sim_folder *copy = find_folder(to, lc_span_of_str((*f)->path));
        LC_VEC_EACH (e, &(*f)->now) {
            sim_inode *n = add_inode(to);
            lc_buf_put_span(&n->now, lc_buf_span(&e->inode->now));
            lc_buf_put_span(&n->durable, lc_buf_span(&e->inode->now));
            set_entry(&copy->now, e->name, n);
            set_entry(&copy->durable, e->name, n);
        }
    }
}

/* ----------------------------------------------------------------- looking */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const sim_entry *)a)->name, ((const sim_entry *)b)->name);
}

bool sim_disk_entries(const sim_disk *d, const char *folder, sim_entries *out)
{
    out->len = 0;
    sim_folder *f = find_folder(d, lc_span_of_str(folder));
    if (!f) return false;
    LC_VEC_EACH (e, &f->now)
        lc_vec_push(out, ((sim_entry){e->name, e->inode->now.len, sim_inode_synced(e->inode)}));
    if (out->len) qsort(out->items, out->len, sizeof *out->items, by_name);
    return true;
}

static sim_inode *find_inode(const sim_disk *d, const char *path)
{
    const char *name;
    sim_folder *f = folder_of(d, path, &name);
    entry *e = f ? find_entry(&f->now, name) : NULL;
    return e ? e->inode : NULL;
}

lc_span sim_disk_bytes(const sim_disk *d, const char *path)
{
    const sim_inode *n = find_inode(d, path);
    return n ? lc_buf_span(&n->now) : LC_SPAN_EMPTY;
}

void sim_disk_dump(const sim_disk *d, const char *folder)
{
    const lc_disk *real = lc_disk_system();
    real->mkdirs(real->self, folder);
    LC_VEC_EACH (f, &d->folders) {
        LC_VEC_EACH (e, &(*f)->now) {
            char *name = lc_format("%s_%s", (*f)->path + 1, e->name);
            for (char *c = name; *c; c++)
                if (*c == '/') *c = '_';
            char *path = lc_format("%s/%s", folder, name);
            lc_disk_write_file(real, path, lc_buf_span(&e->inode->now), NULL);
            lc_free(path);
            lc_free(name);
        }
    }
}

sim_flip sim_disk_flip(sim_disk *d, const char *path, uint64_t position, uint8_t mask)
{
    sim_inode *n = find_inode(d, path);
    LC_ASSERT(n && position < n->now.len && position < n->durable.len);
    n->durable.ptr[position] = n->now.ptr[position] ^= mask;
    return (sim_flip){n->id, position, mask, n->now.ptr[position]};
}

static void unflip(lc_buf *b, const sim_flip *f)
{
    if (f->position < b->len && b->ptr[f->position] == f->flipped) b->ptr[f->position] ^= f->mask;
}

void sim_disk_unflip(sim_disk *d, const sim_flip *f)
{
    LC_VEC_EACH (n, &d->inodes) {
        if ((*n)->id != f->inode) continue;
        unflip(&(*n)->now, f);
        unflip(&(*n)->durable, f);
    }
}
