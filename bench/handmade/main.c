// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * handmade [-b] OBJECT [PID]: loads open.bpf.c's program and counts its events until
 * it is interrupted, then prints the count.  -b: reads them every 20 ms, instead of
 * being woken by the kernel.
 */

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/types.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "open.h"

static volatile sig_atomic_t stop;
static unsigned long delivered;

static void on_signal(int signal)
{
	(void)signal;
	stop = 1;
}

static int on_event(void *ctx, void *data, size_t size)
{
	(void)ctx;
	(void)data;
	(void)size;
	delivered++;
	return 0;
}

/* The program's global variables are in maps of one value each. */
static struct bpf_map *section(struct bpf_object *object, const char *suffix)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object)
	{
		const char *name = bpf_map__name(map);
		size_t length = strlen(name), tail = strlen(suffix);

		if (length >= tail && !strcmp(name + length - tail, suffix))
			return map;
	}
	return NULL;
}

static int set(struct bpf_object *object, const struct settings *settings)
{
	struct bpf_map *map = section(object, ".rodata");

	return map ? bpf_map__set_initial_value(map, settings,
						sizeof(*settings)) :
		     -ENOENT;
}

static unsigned long long lost(struct bpf_object *object)
{
	struct bpf_map *map = section(object, ".bss");
	__u64 value = 0;
	__u32 zero = 0;

	if (map)
		bpf_map_lookup_elem(bpf_map__fd(map), &zero, &value);
	return value;
}

static void take(struct ring_buffer *ring, bool in_batches)
{
	if (in_batches) {
		usleep(20000);
		ring_buffer__consume(ring);
	} else {
		ring_buffer__poll(ring, 100);
	}
}

static int run(struct bpf_object *object, bool in_batches)
{
	struct bpf_program *program =
		bpf_object__find_program_by_name(object, "open_exit");
	struct ring_buffer *ring;
	struct bpf_link *link;

	ring = ring_buffer__new(
		bpf_object__find_map_fd_by_name(object, "events"), on_event,
		NULL, NULL);
	link = bpf_program__attach(program);
	if (!ring || !link)
		return 1;
	while (!stop)
		take(ring, in_batches);
	bpf_link__destroy(link);
	ring_buffer__consume(ring);
	fprintf(stderr, "%lu delivered, %llu lost\n", delivered, lost(object));
	ring_buffer__free(ring);
	return 0;
}

int main(int argc, char **argv)
{
	struct settings settings = {};
	struct bpf_object *object;
	int failed = 1;

	signal(SIGINT, on_signal);
	if (argc > 1 && !strcmp(argv[1], "-b")) {
		settings.flags = BPF_RB_NO_WAKEUP;
		argc--;
		argv++;
	}
	if (argc > 2)
		settings.pid = strtoul(argv[2], NULL, 10);
	object = argc > 1 ? bpf_object__open_file(argv[1], NULL) : NULL;
	if (!object) {
		fprintf(stderr, "usage: handmade [-b] OBJECT [PID]\n");
		return 2;
	}
	if (!set(object, &settings) && !bpf_object__load(object))
		failed = run(object, settings.flags);
	bpf_object__close(object);
	return failed;
}
