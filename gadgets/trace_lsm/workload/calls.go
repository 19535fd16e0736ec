// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

func (t *thread) open(name string) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	}
	t.asks(err, 0, "file_open")
}

func files(t *thread) {
	_, missing := unix.Open("missing", unix.O_RDONLY, 0)
	t.asks(missing, unix.ENOENT) // there is nothing to ask about
	t.open("plain")
	t.asks(unix.Mkdir("folder", 0o700), 0, "path_mkdir", "inode_mkdir")
	t.open("folder")
	t.asks(unix.Rename("plain", "folder/plain"), 0, "path_rename", "inode_rename")
	t.asks(unix.Unlink("folder/plain"), 0, "path_unlink", "inode_unlink")
	t.asks(unix.Rmdir("folder"), 0, "path_rmdir", "inode_rmdir")
	t.asks(unix.Symlink("target", "link"), 0, "path_symlink", "inode_symlink")
	_, err := unix.Readlink("link", make([]byte, 16))
	t.asks(err, 0, "inode_readlink")
}

func sockets(t *thread) {
	local := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	t.asks(err, 0, "socket_create")
	defer unix.Close(fd)
	t.asks(unix.Bind(fd, local), 0, "socket_bind")
	t.asks(unix.Listen(fd, 1), 0, "socket_listen")
	t.asks(unix.Connect(fd, local), unix.EISCONN, "socket_connect")
	t.asks(unix.Shutdown(fd, unix.SHUT_RDWR), 0, "socket_shutdown")
}

func tasks(t *thread) {
	nice := 20 - workload.Must(unix.Getpriority(unix.PRIO_PROCESS, 0)) // the kernel returns it so
	_, err := unix.Getpgid(t.Proc.PID)
	t.asks(err, 0, "task_getpgid")
	_, err = unix.Getsid(t.Proc.PID)
	t.asks(err, 0, "task_getsid")
	t.asks(unix.Setpriority(unix.PRIO_PROCESS, 0, nice), 0, "task_setnice")
	t.rename("lsm-renamed")
}

// execute has the kernel look at a file that turns out to be no program.
func execute(t *thread) {
	err := syscall.Exec("garbage", []string{"garbage"}, nil)
	t.asks(err, unix.ENOEXEC, "file_open", "bprm_creds_for_exec", "bprm_check_security")
}

// atOnce opens a file from several threads at the same time.
func (p process) atOnce() workload.Task[Event] {
	return workload.Times(4, func(i int) workload.Task[Event] {
		return p.onThread(fmt.Sprintf("lsm-thread-%d", i), func(t *thread) {
			for range 50 {
				t.open("garbage")
			}
		})
	})
}
