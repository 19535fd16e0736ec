// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * A process of a container.  For each line of the input it does what the line says
 * and answers with a line:
 *   m: allocates 123457 bytes, answers "0"
 *   l: listens on a TCP port, answers with the port
 *   s ADDRESS: sends 11 bytes to UDP port 4321 of the address, answers with how
 *      many were sent, or -1
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int listening(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	socklen_t size = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, size) ||
	    listen(fd, 1) || getsockname(fd, (struct sockaddr *)&addr, &size)) {
		perror("listen");
		exit(1);
	}
	return ntohs(addr.sin_port);
}

static int sent(const char *to)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(4321)};
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	int n;

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) ||
	    inet_pton(AF_INET, to, &addr.sin_addr) != 1) {
		perror("send");
		exit(1);
	}
	n = sendto(fd, "hello there", 11, 0, (struct sockaddr *)&addr, sizeof(addr));
	close(fd);
	return n;
}

int main(void)
{
	volatile char *memory;
	char line[64], to[32];

	while (fgets(line, sizeof(line), stdin)) {
		int answer = 0;

		if (line[0] == 'l') {
			answer = listening();
		} else if (sscanf(line, "s %31s", to) == 1) {
			answer = sent(to);
		} else {
			memory = malloc(123457);
			memory[0] = 1;
		}
		printf("%d\n", answer);
		fflush(stdout);
	}
	return 0;
}
