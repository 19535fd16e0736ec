// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0

package gadget_test

import (
	"errors"
	"runtime"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// waker reports whether a program woke the reader of a ring buffer.
type waker struct{ epoll int }

// newWaker watches m edge-triggered: an edge is a wake-up, while a level would
// also show unread records.
func newWaker(t *testing.T, m *ebpf.Map) waker {
	t.Helper()
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(epoll) })
	in := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, m.FD(), &in); err != nil {
		t.Fatal(err)
	}
	return waker{epoll}
}

// woken waits longer for a wake-up that should come than for one that shouldn't.
func (w waker) woken(t *testing.T, expected bool) bool {
	t.Helper()
	wait := 1
	if expected {
		wait = 500
	}
	for {
		n, err := unix.EpollWait(w.epoll, make([]unix.EpollEvent, 1), wait)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return n > 0
	}
}

// step is one run of a program, and the unread bytes that it adds.
type step struct {
	prog  string
	size  uint64 // of output_part
	space uint64
}

var (
	submit  = step{"submit", 0, 64}
	output  = step{"output", 0, 64}
	part    = step{"output_part", 20, 32}
	part8   = step{"output_part", 8, 16}
	part48  = step{"output_part", 48, 56}
	discard = step{"discard", 0, 64}
	drain   = step{prog: ""}
)

func times(n int, s ...step) []step { return slices.Repeat(s, n) }

func TestWakeUps(t *testing.T) {
	requireKernel(t)
	tests := []struct {
		name  string
		bytes uint64
		steps []step
	}{
		{"kernel's", 0, slices.Concat(times(5, submit), times(1, drain), times(3, output))},
		{"never reached", 1 << 20, times(30, submit, output)},
		{"exactly reached", 256, times(32, submit)},
		{"exactly reached, output", 256, times(32, output)},
		{"jumped over", 128, times(20, submit, part)},
		{"just below, submit", 256, slices.Concat(times(1, part48), times(3, submit), times(1, part8))},
		{"just below, output", 256, slices.Concat(times(3, submit), times(1, part48), times(1, part8))},
		{"each", 32, times(10, submit, part)},
		{"read between", 256, slices.Concat(times(3, submit), times(1, drain), times(7, output), times(1, drain), times(5, submit))},
		{"discarded", 128, slices.Concat(times(3, discard), times(2, drain), times(3, submit))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { testWakeUps(t, tt.bytes, tt.steps) })
	}
}

func testWakeUps(t *testing.T, bytes uint64, steps []step) {
	coll := loadRing(t, globals{"gadget_wakeup_bytes": bytes})
	waker := newWaker(t, coll.Maps["events"])
	drainAll := openRing(t, coll.Maps["events"])
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	unread, wakes := uint64(0), 0
	for i, s := range steps {
		if s == drain {
			drainAll()
			unread = 0
			continue
		}
		if run(t, coll.Programs[s.prog], uint64(i), s.size) != 0 {
			t.Fatal("full")
		}
		unread += s.space
		want := unread == s.space // the reader has caught up, so it may be asleep
		if bytes != 0 && s != discard {
			want = want || unread/bytes > (unread-s.space)/bytes
		}
		if got := waker.woken(t, want); got != want {
			t.Errorf("step %d, %d unread: woken is %v, want %v", i, unread, got, want)
		}
		if want {
			wakes++
		}
	}
	t.Log(wakes, "wake-ups")
}
