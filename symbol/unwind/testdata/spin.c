// Copyright The gizmo Authors
// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0

// Calls that the tests know, for as long as nothing kills the process. The argument says which.

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))

static volatile unsigned long sum;

static void ready(void)
{
	if (write(1, "\n", 1) != 1)
		exit(1);
}

static NOINLINE void spin(unsigned long turns)
{
	for (unsigned long i = 0; i < turns; i++)
		sum += i;
}

static NOINLINE void level3(unsigned long turns)
{
	spin(turns);
	sum++;
}

static NOINLINE void level2(unsigned long turns)
{
	level3(turns);
	sum++;
}

static NOINLINE void level1(unsigned long turns)
{
	level2(turns);
	sum++;
}

static NOINLINE int cmp(const void *a, const void *b)
{
	spin(50);
	return *(const int *)a - *(const int *)b;
}

static NOINLINE void sorter(void)
{
	int values[4096];

	for (int i = 0; i < 4096; i++)
		values[i] = (int)((unsigned int)i * 2654435761u >> 8);
	qsort(values, 4096, sizeof(*values), cmp);
	sum += values[0];
}

static NOINLINE unsigned long deep(unsigned long n)
{
	volatile unsigned long here = n;

	if (n == 0) {
		level1(1000000);
		return here;
	}
	return deep(n - 1) + here;
}

/* A frame of variable size and a called function that saves all that it may. */
static NOINLINE void variable(unsigned int n)
{
	char *room = __builtin_alloca(n);

	memset(room, (int)n, n);
	level1(100000 + (unsigned long)room[n / 2]);
}

/* A frame that the compiler has to align. */
static NOINLINE void aligned(void)
{
	volatile unsigned char room[256] __attribute__((aligned(128)));

	room[0] = 1;
	level1(100000 + room[0]);
}

static NOINLINE void handle(int signal)
{
	spin(3000000);
	sum += (unsigned long)signal;
}

static NOINLINE void interrupted(void)
{
	for (;;)
		level1(1000);
}

static void interrupt(int flags)
{
	struct sigaction action = {.sa_handler = handle, .sa_flags = flags};
	struct itimerval timer = {.it_interval = {.tv_usec = 5000},
				  .it_value = {.tv_usec = 5000}};

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	interrupted();
}

/* Code without a file, as of a compiler in the process: a frame pointer, and no CFI. */
static void made(void)
{
	static const unsigned char code[] = {
		0x55,		  /* push %rbp */
		0x48, 0x89, 0xe5, /* mov %rsp, %rbp */
		0xff, 0xd6,	  /* call *%rsi */
		0x5d,		  /* pop %rbp */
		0xc3,		  /* ret */
	};
	unsigned char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void (*call)(unsigned long, void (*)(unsigned long));

	if (page == MAP_FAILED)
		exit(1);
	memcpy(page, code, sizeof(code));
	if (mprotect(page, 4096, PROT_READ | PROT_EXEC))
		exit(1);
	memcpy(&call, &page, sizeof(call));
	ready();
	for (;;)
		call(100000, level1);
}

static NOINLINE void clock_reader(void)
{
	struct timespec now;

	for (int i = 0; i < 1000; i++) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		sum += (unsigned long)now.tv_nsec;
	}
}

static void *in_thread(void *unused)
{
	ready();
	for (;;)
		level1(100000);
	return unused;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "levels";

	if (!strcmp(what, "made"))
		made();
	if (!strcmp(what, "thread")) {
		pthread_t thread;

		pthread_create(&thread, NULL, in_thread, NULL);
		pthread_join(thread, NULL);
	}
	ready();
	if (!strcmp(what, "signal"))
		interrupt(0);
	for (unsigned int i = 0;; i++) {
		if (!strcmp(what, "levels"))
			level1(100000);
		else if (!strcmp(what, "clock"))
			clock_reader();
		else if (!strcmp(what, "sort"))
			sorter();
		else if (!strcmp(what, "deep"))
			sum += deep(60);
		else if (!strcmp(what, "deepest"))
			sum += deep(100000);
		else if (!strcmp(what, "variable"))
			variable(1 + i % 5000);
		else
			aligned();
	}
}
