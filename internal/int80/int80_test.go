// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package int80

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Numbers of the calls of 32-bit programs.
const (
	write32  = 4
	getpid32 = 20
)

func TestWithMakesCalls(t *testing.T) {
	t.Parallel()
	called := false
	err := With(func(low *LowMemory) error {
		called = true
		if pid, errno := Result(Call(getpid32, 0, 0, 0, 0, 0)); int(pid) != os.Getpid() || errno != 0 {
			t.Errorf("getpid: got %d, %v, want %d", pid, errno, os.Getpid())
		}
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		defer r.Close()
		defer w.Close()
		low.Text("unused")
		const text = "from low memory"
		if n, errno := Result(Call(write32, w.Fd(), low.Text(text), uintptr(len(text)), 0, 0)); int(n) != len(text) || errno != 0 {
			t.Fatalf("write: got %d, %v, want %d", n, errno, len(text))
		}
		got := make([]byte, 2*len(text))
		n, err := r.Read(got)
		if string(got[:n]) != text {
			t.Errorf("written: got %q, want %q", got[:n], text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if reason := Available(); called != (reason == nil) {
		t.Errorf("calls were made: %t; the kernel takes them: %v", called, reason)
	}
}

func TestWithReturnsTheError(t *testing.T) {
	t.Parallel()
	if Available() != nil {
		return // nothing is called, as the other test finds
	}
	want := errors.New("no luck")
	if err := With(func(*LowMemory) error { return want }); !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

func TestResult(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		returned, value uintptr
		errno           unix.Errno
	}{
		{returned: 7, value: 7},
		{returned: 0xffff_fffe, errno: unix.ENOENT}, // as the call leaves the register
		{returned: ^uintptr(1), errno: unix.ENOENT},
	} {
		if value, errno := Result(test.returned); value != test.value || errno != test.errno {
			t.Errorf("%#x: got %d, %v, want %d, %v", test.returned, value, errno, test.value, test.errno)
		}
	}
}
