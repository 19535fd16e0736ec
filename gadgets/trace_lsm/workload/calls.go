// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

func (t *thread) open(name string) error {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	}
	return t.asks(err, 0, "file_open")
}

func (t *thread) readlink(name string) error {
	_, err := unix.Readlink(name, make([]byte, 16))
	return t.asks(err, 0, "inode_readlink")
}

func files(t *thread) error {
	_, missing := unix.Open("missing", unix.O_RDONLY, 0)
	return errors.Join(
		t.asks(missing, unix.ENOENT), // there is nothing to ask about
		t.open("plain"),
		t.asks(unix.Mkdir("folder", 0o700), 0, "path_mkdir", "inode_mkdir"),
		t.open("folder"),
		t.asks(unix.Rename("plain", "folder/plain"), 0, "path_rename", "inode_rename"),
		t.asks(unix.Unlink("folder/plain"), 0, "path_unlink", "inode_unlink"),
		t.asks(unix.Rmdir("folder"), 0, "path_rmdir", "inode_rmdir"),
		t.asks(unix.Symlink("target", "link"), 0, "path_symlink", "inode_symlink"),
		t.readlink("link"),
	)
}

func sockets(t *thread) error {
	local := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err := t.asks(err, 0, "socket_create"); err != nil {
		return err
	}
	defer unix.Close(fd)
	return errors.Join(
		t.asks(unix.Bind(fd, local), 0, "socket_bind"),
		t.asks(unix.Listen(fd, 1), 0, "socket_listen"),
		t.asks(unix.Connect(fd, local), unix.EISCONN, "socket_connect"),
		t.asks(unix.Shutdown(fd, unix.SHUT_RDWR), 0, "socket_shutdown"),
	)
}

func tasks(t *thread) error {
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return err
	}
	nice := 20 - raw // as the kernel returns it
	_, err1 := unix.Getpgid(t.Proc.PID)
	return errors.Join(
		t.asks(err1, 0, "task_getpgid"),
		t.getsid(),
		t.asks(unix.Setpriority(unix.PRIO_PROCESS, 0, nice), 0, "task_setnice"),
		t.rename("lsm-renamed"),
	)
}

func (t *thread) getsid() error {
	_, err := unix.Getsid(t.Proc.PID)
	return t.asks(err, 0, "task_getsid")
}

// execute has the kernel look at a file that turns out to be no program.
func execute(t *thread) error {
	err := syscall.Exec("garbage", []string{"garbage"}, nil)
	return t.asks(err, unix.ENOEXEC, "file_open", "bprm_creds_for_exec", "bprm_check_security")
}

// atOnce opens a file from several threads at the same time.
func (p process) atOnce() workload.Task[Event] {
	var tasks []workload.Task[Event]
	for i := range 4 {
		tasks = append(tasks, p.onThread(fmt.Sprintf("lsm-thread-%d", i), openOften))
	}
	return workload.AtOnce(tasks...)
}

func openOften(t *thread) error {
	for range 50 {
		if err := t.open("garbage"); err != nil {
			return err
		}
	}
	return nil
}
