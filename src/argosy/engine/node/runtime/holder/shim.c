/* The supervisor of one container run, in a tenth of the memory: what shim.py becomes, once the command runs, where this
 * machine can compile it (compiling.py) and nothing is asked that only the Python one does (shim.Shim.may_shrink).
 *
 * It is pid 1 of the container's pid namespace. It reaps orphans, passes signals on to the command, writes the log (as
 * crilog.py does), appends the end to the run's state file, and ends with the command, taking everything else with it.
 *
 * Usage: argosy-shim STATE LOG LOG_MAX OOM_FILE PID STDOUT STDERR TERMINAL TYPED KEPT AT_ONCE
 * Descriptors are numbers, -1 for none; the signals that matter are blocked by whoever executes this.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES (16 * 1024)
#define CHUNK (64 * 1024)
#define OUT (256 * 1024)

struct stream {
    int fd;
    const char *name;
    size_t length;
    char rest[LINE_MAX_BYTES + CHUNK];
};

static struct stream streams[2];
static char chunk[CHUNK], out[OUT];
static size_t out_length;
static const char *log_path;
static long log_max, log_size;
static int log_fd = -1, at_once;
static pid_t command;
static int status = -1;

static void open_log(void) {
    struct stat found;
    log_fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    log_size = log_fd >= 0 && fstat(log_fd, &found) == 0 ? (long)found.st_size : 0;
}

/* A full disk must not stop the container: its output is lost, its work goes on. */
static void flush_out(void) {
    if (out_length && log_size && log_size + (long)out_length > log_max) {
        char old[4096 + 8];
        snprintf(old, sizeof old, "%s.1", log_path);
        if (rename(log_path, old) == 0) {
            close(log_fd);
            open_log();
        }
    }
    for (size_t done = 0; done < out_length;) {
        ssize_t written = write(log_fd, out + done, out_length - done);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) break;
        done += (size_t)written;
        log_size += written;
    }
    out_length = 0;
}

static void put_line(const char *stamp, const char *name, char tag, const char *text, size_t length) {
    char head[64];
    size_t size = (size_t)snprintf(head, sizeof head, "%s %s %c ", stamp, name, tag);
    if (out_length + size + length + 1 > OUT) flush_out();
    memcpy(out + out_length, head, size);
    memcpy(out + out_length + size, text, length);
    out_length += size + length;
    out[out_length++] = '\n';
}

static void put_text(const char *stamp, struct stream *s, const char *text, size_t length) {
    while (length > LINE_MAX_BYTES) {
        put_line(stamp, s->name, 'P', text, LINE_MAX_BYTES);
        text += LINE_MAX_BYTES;
        length -= LINE_MAX_BYTES;
    }
    put_line(stamp, s->name, 'F', text, length);
}

static void feed(struct stream *s, size_t size, int last) {
    char stamp[40];
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    size_t used = strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(stamp + used, sizeof stamp - used, ".%09ldZ", now.tv_nsec);
    memcpy(s->rest + s->length, chunk, size);
    s->length += size;
    char *begin = s->rest, *end = s->rest + s->length, *newline;
    while ((newline = memchr(begin, '\n', (size_t)(end - begin)))) {
        put_text(stamp, s, begin, (size_t)(newline - begin));
        begin = newline + 1;
    }
    while (end - begin > LINE_MAX_BYTES) {
        put_line(stamp, s->name, 'P', begin, LINE_MAX_BYTES);
        begin += LINE_MAX_BYTES;
    }
    if (end > begin && (last || at_once)) {
        put_line(stamp, s->name, last ? 'F' : 'P', begin, (size_t)(end - begin));
        begin = end;
    }
    s->length = (size_t)(end - begin);
    memmove(s->rest, begin, s->length);
    flush_out();
}

static int read_stream(struct stream *s) {
    ssize_t size = read(s->fd, chunk, CHUNK);
    if (size < 0 && errno == EINTR) return 1;
    if (size <= 0) return 0;
    feed(s, (size_t)size, 0);
    return 1;
}

static void reap(void) {
    int how;
    pid_t pid;
    while ((pid = waitpid(-1, &how, WNOHANG)) > 0)
        if (pid == command) status = how;
}

static long killed_for_memory(const char *path) {
    char name[64];
    long count, found = 0;
    FILE *file = *path ? fopen(path, "r") : NULL;
    if (!file) return 0;
    while (fscanf(file, "%63s %ld", name, &count) == 2)
        if (!strcmp(name, "oom_kill")) found = count;
    fclose(file);
    return found;
}

static void record(const char *path, const char *oom) {
    struct timespec now;
    char line[256];
    int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    int code = number ? 128 + number : WEXITSTATUS(status);
    const char *reason = number == SIGKILL && killed_for_memory(oom) ? "OOMKilled" : "";
    clock_gettime(CLOCK_REALTIME, &now);
    int size = snprintf(line, sizeof line,
                        "{\"code\":%d,\"signal\":%d,\"finished_at\":%lld.%06ld,\"reason\":\"%s\",\"message\":\"\"}\n", code,
                        number, (long long)now.tv_sec, now.tv_nsec / 1000, reason);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, line, (size_t)size) != size) _exit(1);
    close(fd);
}

int main(int argc, char **argv) {
    if (argc != 12) return 2;
    log_path = argv[2];
    log_max = atol(argv[3]) > 4096 ? atol(argv[3]) : 4096;
    command = (pid_t)atol(argv[5]);
    int terminal = atoi(argv[8]), typed = atoi(argv[9]), kept = atoi(argv[10]);
    at_once = atoi(argv[11]);
    streams[0].fd = terminal >= 0 ? terminal : atoi(argv[6]);
    streams[1].fd = terminal >= 0 ? -1 : atoi(argv[7]);
    streams[0].name = "stdout";
    streams[1].name = "stderr";
    open_log();
    sigset_t all;
    sigfillset(&all);
    int signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0 || log_fd < 0) return 2;
    struct pollfd waiting[4] = {
        {signals, POLLIN, 0}, {streams[0].fd, POLLIN, 0}, {streams[1].fd, POLLIN, 0}, {typed, POLLIN, 0}};
    while (status < 0) {
        if (poll(waiting, 4, -1) < 0) continue;
        struct signalfd_siginfo told;
        while (waiting[0].revents && read(signals, &told, sizeof told) == (ssize_t)sizeof told) {
            if (told.ssi_signo == SIGCHLD) {
                reap();
            } else if (told.ssi_signo == SIGIO) { /* nobody will feed the command any more */
                if (kept >= 0) close(kept);
                kept = -1;
            } else if (status < 0) {
                kill(command, (int)told.ssi_signo);
            }
        }
        for (int i = 0; i < 2; i++)
            if (waiting[i + 1].revents && !read_stream(&streams[i])) waiting[i + 1].fd = -1;
        if (waiting[3].revents) {
            ssize_t size = read(typed, chunk, 4096);
            if (size > 0 && write(terminal, chunk, (size_t)size) < 0) { /* nobody reads it any more */
            }
        }
    }
    kill(-1, SIGKILL); /* everything in the container: this is the first process of its pid namespace */
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) {
    }
    for (int i = 0; i < 2; i++) {
        if (streams[i].fd < 0) continue;
        fcntl(streams[i].fd, F_SETFL, O_NONBLOCK);
        while (read_stream(&streams[i])) {
        }
        feed(&streams[i], 0, 1);
    }
    record(argv[1], argv[4]);
    return 0;
}
