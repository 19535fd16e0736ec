// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copyright The gizmo Authors */

/*
 * A process of a container.  For each line of the input it does what the line says
 * and answers with a line:
 *   m: allocates 123457 bytes, answers "0"
 *   l: listens on a TCP port, answers with the port
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

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

int main(void)
{
	volatile char *memory;
	char line[16];

	while (fgets(line, sizeof(line), stdin)) {
		int answer = 0;

		if (line[0] == 'l') {
			answer = listening();
		} else {
			memory = malloc(123457);
			memory[0] = 1;
		}
		printf("%d\n", answer);
		fflush(stdout);
	}
	return 0;
}
