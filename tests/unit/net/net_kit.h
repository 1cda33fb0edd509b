/* A loop on its own thread with a listener, a small application on it, and raw sockets to talk to
 * it. */
#ifndef NET_KIT_H
#define NET_KIT_H

#include "lc_test.h"

#include "net/lc_net.h"

#include <pthread.h>

/* Paths of the application:
 *   /echo        200, `METHOD path?query` and a line end, then the body
 *   /headers     200, one line `name=value` per header
 *   /later       as /echo, from a timer
 *   /thread      as /echo, posted from another thread
 *   /small       as /echo, but bodies up to 10 bytes; 413 above
 *   /big?n=N     N bytes of 'x'
 *   /stream?n=N  N chunks `chunk i\n`, one per timer
 *   /endless     a stream that only the client can end; counts stream_gone
 *   /intake      reads its body as a stream on a thread: 200, its length and CRC-32C;
 *                ?n=MILLIS before every read (8 KiB); counts intake_broken
 *   /intake-no   has its body streamed and answers 403 without reading it
 *   /fill?n=N    N chunks of 256 KiB, each when those before were taken; counts filled (chunks);
 *                /fill-break: breaks off then
 *   /inject      an answer with a header whose value holds line ends
 *   /ws          WebSocket, see kit_server.ws_options; /ws-thread: accepted from another thread
 * The WebSocket application echoes messages; these texts are orders:
 *   `close CODE REASON`, `abort`, `flood N SIZE`, `shared N SIZE`, `pause MILLIS`, `twice` (close,
 * then send and close again), `turn` (how often the loop's turn ended) */
typedef struct kit_server {
    lc_loop *loop;
    lc_listener *listener;
    pthread_t thread;
    uint16_t port;
    lc_ws_options ws_options;
    uint64_t resume_after;
    /* counts, written by the loop's thread */
    _Atomic uint64_t ws_opened, ws_closed, ws_messages, ws_peak_waiting;
    _Atomic uint64_t stream_gone, released, requests, turns, intake_broken, intake_read, filled;
} kit_server;

kit_server *kit_start(void);
/* Ends the loop with whatever is still connected. */
void kit_stop(kit_server *s);

/* A connected socket. The receiving buffer may be made small (0: as it comes). */
int kit_connect(const kit_server *s, int receive_buffer);
void kit_send(int fd, const void *bytes, size_t n);
void kit_send_text(int fd, const char *text);
/* Reads until n bytes are there, the other side ended, or twenty seconds passed. */
size_t kit_receive(int fd, void *bytes, size_t n);
/* Everything up to the end of the connection, as text (heap). *was_reset: it ended by a reset. */
char *kit_receive_all(int fd, bool *was_reset);
/* Whether the other side ends the connection within the time. Throws away what comes. */
bool kit_ends_within(int fd, unsigned millis);
/* One HTTP answer: its head, and the body by content-length or chunks. Heap texts. */
typedef struct kit_answer {
    int status;
    char *head;
    char *body;
    size_t body_len;
} kit_answer;
kit_answer kit_answer_read(int fd, bool is_head);
void kit_answer_free(kit_answer *a);
bool kit_has_header(const kit_answer *a, const char *line);
/* Sends one request and wants this status and body. */
void kit_expect(int fd, const char *request, int status, const char *body);
void kit_wait_for(const _Atomic uint64_t *counter, uint64_t value);
uint64_t kit_millis(void);
uint32_t kit_open_files(void);

#endif
