// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package tc

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Watch calls changed after interfaces of the namespace have come, gone or changed, until stop is called. Calls come one at a time, at least one
// after the last change.
func (n *Network) Watch(changed func()) (stop func(), err error) {
	var fd int
	err = n.ns.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_LINK}); err != nil {
		return nil, errors.Join(fmt.Errorf("watch the network interfaces: %w", err), unix.Close(fd))
	}
	socket := os.NewFile(uintptr(fd), "netlink")
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for raw.Read(drain) == nil {
			changed()
		}
	}()
	return func() {
		_ = socket.Close() // nothing was written
		<-done
	}, nil
}

// drain reads all messages at hand, and reports whether there was one. What has changed does not matter, so messages may be cut off, and
// lost (ENOBUFS): the list of all interfaces tells.
func drain(fd uintptr) (any bool) {
	var message [1]byte
	for {
		_, err := unix.Read(int(fd), message[:])
		if err != nil && !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.EINTR) {
			return any // EAGAIN
		}
		any = true
	}
}
