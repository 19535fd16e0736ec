// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * Allocates memory and releases some of it, in functions with names, when it gets a byte.  What each function leaves
 * is in leaks_test.go.
 */

#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))

static char *self;

/* So that the compiler cannot tell what becomes of memory, nor end a function with a jump to the next. */
static void *volatile sink;
static volatile size_t endless = SIZE_MAX / 2;

#define END() __asm__ volatile("" ::: "memory")

NOINLINE void *in_helper(size_t size)
{
	void *p = malloc(size);

	sink = p;
	return p;
}

NOINLINE void leaves_small(void)
{
	for (int i = 0; i < 10; i++)
		in_helper(100);
	END();
}

NOINLINE void leaves_some(void)
{
	for (int i = 0; i < 6; i++) {
		free(in_helper(1000));
		sink = calloc(7, 11);
		sink = realloc(NULL, 3);
	}
	free(NULL);
	END();
}

NOINLINE void leaves_none(void)
{
	sink = malloc(1 << 20); /* which has its own mapping */
	free(sink);
	sink = realloc(malloc(70), 0);
	sink = malloc(endless);
	END();
}

/* The first of several places: what is resized counts for the last. */
NOINLINE void resizes(void)
{
	void *p = malloc(10);

	p = realloc(p, 100000);
	p = realloc(p, 50);
	sink = realloc(p, endless); /* p stays */
	sink = p;
	free(reallocarray(malloc(8), 100, 100));
	END();
}

NOINLINE void aligns(void)
{
	void *p;

	if (!posix_memalign(&p, 64, 128))
		sink = p;
	sink = aligned_alloc(64, 256);
	sink = memalign(32, 96);
	sink = valloc(10);
	sink = pvalloc(20);
	free(memalign(64, 4000));
	END();
}

/* The memory that one thread allocates and another releases. */
static void *from_main[3], *from_thread;

NOINLINE void in_thread(void)
{
	for (int i = 0; i < 4; i++)
		sink = malloc(50);
	from_thread = malloc(60);
	prctl(PR_SET_NAME, "another-name"); /* which filters do not select */
	free(from_main[0]);
	sink = realloc(from_main[1], 5000);
	sink = realloc(from_main[2], endless);
	sink = malloc(9);
	END();
}

static void *thread(void *unused)
{
	in_thread();
	return unused;
}

NOINLINE void has_threads(void)
{
	pthread_t id;

	for (int i = 0; i < 3; i++)
		from_main[i] = malloc(200);
	pthread_create(&id, NULL, thread, NULL);
	pthread_join(id, NULL);
	free(from_thread);
	END();
}

NOINLINE void in_child(void *a)
{
	free(a);
	sink = malloc(77);
	END();
}

NOINLINE void before_exec(void)
{
	sink = malloc(33);
	END();
}

NOINLINE void after_exec(void)
{
	sink = malloc(44);
	END();
}

/* Runs in the memory of its parent, which waits. */
NOINLINE void in_vfork(void *b)
{
	free(b);
	sink = malloc(55);
	END();
}

NOINLINE void has_children(void)
{
	void *a = malloc(300), *b = malloc(400);
	pid_t child = fork();

	if (!child) {
		in_child(a);
		before_exec();
		execl(self, self, "after", NULL);
		_exit(1);
	}
	waitpid(child, NULL, 0);
	child = vfork();
	if (!child) {
		in_vfork(b);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	sink = a;
	END();
}

/* One after the other, so that some get the kernel's memory of those before. */
NOINLINE void in_one_of_many(void)
{
	sink = malloc(21);
	END();
}

NOINLINE void after_exec_of_many(void)
{
	sink = malloc(22);
	END();
}

NOINLINE void has_many_children(void)
{
	for (int i = 0; i < 20; i++) {
		pid_t child = fork();

		if (!child) {
			in_one_of_many();
			execl(self, self, "after", "of many", NULL);
			_exit(1);
		}
		waitpid(child, NULL, 0);
	}
	END();
}

int main(int argc, char **argv)
{
	char c;

	self = argv[0];
	if (argc > 1) {
		if (argc > 2)
			after_exec_of_many();
		else
			after_exec();
		return 0;
	}
	sink = malloc(
		500); /* which nobody sees: so its release is that of nothing */
	if (read(0, &c, 1) != 1)
		return 1;
	free(sink);
	leaves_small();
	leaves_some();
	leaves_none();
	resizes();
	aligns();
	has_children();
	has_many_children();
	has_threads(); /* the last, so that nobody gets the addresses of what it releases */
	return 0;
}
