// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// A failed Must ends its task with the error, after the deferred calls.
func TestTasksThatCannotGoOn(t *testing.T) {
	t.Parallel()
	no := errors.New("no luck")
	for name, tt := range map[string]struct {
		do   func()
		want string
	}{
		"goes on": {func() {
			Check("something", nil)
			Want("success", nil, 0)
			Want("success", unix.Errno(0), 0)
			Want("a failure", &fs.PathError{Err: unix.ENOENT}, unix.ENOENT)
			if Must(7, nil) != 7 {
				t.Error("another value")
			}
		}, ""},
		"check":          {func() { Check("something", no) }, "something: no luck"},
		"must":           {func() { Must(7, no) }, "no luck"},
		"another error":  {func() { Want("a call", unix.EPERM, unix.ENOENT) }, "a call: got operation not permitted, want no such file or directory"},
		"no error":       {func() { Want("a call", nil, unix.ENOENT) }, "a call: got errno 0, want no such file or directory"},
		"unwanted error": {func() { Want("a call", unix.EPERM, 0) }, "a call: got operation not permitted, want errno 0"},
	} {
		deferred := false
		task := OnThread("cannot-go-on", func(*Thread[int]) error {
			defer func() { deferred = true }()
			tt.do()
			return nil
		})
		for _, task := range []Task[int]{task, InTurn(task), AtOnce(task, just(1))} {
			_, err := task()
			got := ""
			if err != nil {
				got = err.Error()
			}
			if want := tt.want; want != "" && got != `thread "cannot-go-on": `+want || want == "" && got != "" || !deferred {
				t.Errorf("%s: error %q, want %q; what was deferred was done: %t", name, got, want, deferred)
			}
		}
	}
}

// A task without its own thread ends in the same way, and any other panic stays a panic.
func TestTry(t *testing.T) {
	t.Parallel()
	if _, err := AtOnce(func() ([]int, error) { Must(os.Open("missing")); return nil, nil })(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	defer func() {
		if recover() != "another" {
			t.Error("no panic, or another one")
		}
	}()
	_ = try(func() error { panic("another") })
}
