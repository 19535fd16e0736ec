// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// waiter sleeps until one of several ring buffers has something to read.
type waiter struct {
	epoll  int
	events [2]unix.EpollEvent

	wakeMu sync.Mutex // guards wake
	wake   int        // -1 once closed
}

func newWaiter() waiter { return waiter{epoll: -1, wake: -1} }

func (w *waiter) open(rings ...int) (err error) {
	if w.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("epoll_create: %w", err)
	}
	if w.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	for _, fd := range rings {
		// Edge-triggered: Wait must not return at once because of records that are still being
		// written.
		if err := w.add(fd, unix.EPOLLIN|unix.EPOLLET); err != nil {
			return err
		}
	}
	return w.add(w.wake, unix.EPOLLIN)
}

func (w *waiter) add(fd int, events uint32) error {
	ev := unix.EpollEvent{Events: events, Fd: int32(fd)}
	if err := unix.EpollCtl(w.epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

// Wait blocks until the kernel says that there is something to read, Wake was called, or the
// timeout has passed; a negative timeout means never.
func (w *waiter) Wait(timeout time.Duration) error {
	ms := -1
	if timeout >= 0 {
		ms = int((timeout + time.Millisecond - 1) / time.Millisecond)
	}
	_, err := unix.EpollWait(w.epoll, w.events[:], ms)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for the ring buffer: %w", err)
	}
	return nil
}

// Wake ends the present and all later calls of Wait. It may be called by any goroutine, and does
// nothing after Close.
func (w *waiter) Wake() {
	w.wakeMu.Lock()
	defer w.wakeMu.Unlock()
	one := [8]byte{1}
	if w.wake >= 0 {
		_, _ = unix.Write(w.wake, one[:])
	}
}

func (w *waiter) close() error {
	w.wakeMu.Lock()
	defer w.wakeMu.Unlock()
	var errs []error
	for _, fd := range []*int{&w.epoll, &w.wake} {
		if *fd >= 0 {
			errs = append(errs, unix.Close(*fd))
			*fd = -1
		}
	}
	return errors.Join(errs...)
}
