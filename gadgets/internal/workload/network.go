// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Network is a network namespace with only a loopback interface, which lasts as long as the process. It is for
// workloads whose arguments for gizmo name the namespace: it exists before any event.
type Network struct {
	// ID is the namespace's number.
	ID uint64
	fd int
}

// NewNetwork makes a network namespace, without changing that of any thread.
func NewNetwork() (*Network, error) {
	n := &Network{}
	_, err := OnThread("", func(t *Thread[struct{}]) (err error) {
		if n.ID, err = t.OwnNetwork(); err != nil {
			return err
		}
		n.fd, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		return err
	})()
	if err != nil {
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	return n, nil
}

// Enter puts the calling thread into the namespace. Only code on a thread of its own may call it: see OnThread.
func (n *Network) Enter() error {
	if err := unix.Setns(n.fd, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the network namespace: %w", err)
	}
	return nil
}

// SetLoopback brings the loopback interface of the calling thread's network namespace up or down. While
// it is down, the kernel drops what is sent through it.
func SetLoopback(up bool) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if up {
		request.SetUint16(unix.IFF_UP)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
		return fmt.Errorf("bring the loopback interface up or down: %w", err)
	}
	return nil
}
