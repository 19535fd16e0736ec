// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package outlet

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const timeout = 100 * time.Millisecond

// blockingPipe returns a pipe as a shell makes it: its ends wait.
func blockingPipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	r, w = os.NewFile(uintptr(fds[0]), "r"), os.NewFile(uintptr(fds[1]), "w")
	t.Cleanup(func() {
		r.Close()
		w.Close()
	})
	return r, w
}

// withWorker is an outlet to a file that cannot be asked for room, such as one on a device that hangs.
func withWorker(f *os.File) *Outlet {
	return &Outlet{timeout: timeout, hurry: make(chan struct{}), worker: newWorker(f)}
}

func TestWriteIsGivenUp(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"pipe", "device"} {
		for _, hurried := range []bool{true, false} { // before the write, or while it waits
			r, w := blockingPipe(t)
			o := New(w, timeout)
			if name == "device" {
				if err := o.Close(); err != nil {
					t.Fatal(err)
				}
				o = withWorker(w)
			}
			wait := timeout
			if hurried {
				o.Hurry()
			} else {
				time.AfterFunc(timeout, o.Hurry)
				wait *= 2
			}
			start := time.Now()
			n, err := o.Write(make([]byte, 1<<20))
			if took := time.Since(start); took < wait || took > wait+2*time.Second {
				t.Errorf("%s, %v: it took %v, want %v", name, hurried, took, wait)
			}
			want, _ := unix.IoctlGetInt(int(r.Fd()), unix.TIOCINQ)
			if name == "device" {
				want = 0 // it cannot be known
			}
			if !errors.Is(err, ErrGivenUp) || n != want {
				t.Errorf("%s, %v: %d bytes, want %d; %v", name, hurried, n, want, err)
			}
			if name == "device" {
				if n, err := o.Write([]byte("x")); n != 0 || !errors.Is(err, ErrGivenUp) {
					t.Errorf("a write after it: %d, %v", n, err)
				}
			}
			if err := o.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// A write waits for a reader that takes little at a time, however long the whole write takes.
func TestSlowReaderIsWaitedFor(t *testing.T) {
	t.Parallel()
	const patience, pause = time.Second, 200 * time.Millisecond // on a busy machine a pause is much longer at times
	r, w := blockingPipe(t)
	o := New(w, patience)
	o.Hurry()
	text := bytes.Repeat([]byte("0123456789abcdef"), 50<<10)
	got := make(chan []byte)
	go func() {
		var all []byte
		for part := make([]byte, 64<<10); len(all) < len(text); {
			time.Sleep(pause)
			n, _ := r.Read(part)
			all = append(all, part[:n]...)
		}
		got <- all
	}()
	start := time.Now()
	if n, err := o.Write(text); n != len(text) || err != nil {
		t.Fatal(n, err)
	}
	if took := time.Since(start); took < 3*patience/2 {
		t.Errorf("it took %v: that was no slow reader", took)
	}
	if !bytes.Equal(<-got, text) {
		t.Error("it is another text")
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
}

func TestTryWrite(t *testing.T) {
	t.Parallel()
	_, w := blockingPipe(t)
	o := New(w, timeout)
	defer o.Close()
	n, err := o.TryWrite(make([]byte, 1<<20))
	if n == 0 || n == 1<<20 || err != nil {
		t.Errorf("an empty pipe: %d, %v", n, err)
	}
	if n, err = o.TryWrite([]byte("x")); n != 0 || err != nil {
		t.Errorf("a full pipe: %d, %v", n, err)
	}
	// The file itself, which others may share, is as it was.
	flags, err := unix.FcntlInt(w.Fd(), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("flags %#o, %v", flags, err)
	}
}

func TestReaderGone(t *testing.T) {
	t.Parallel()
	r, w := blockingPipe(t)
	o := New(w, timeout)
	defer o.Close()
	r.Close()
	if _, err := o.Write([]byte("x")); !errors.Is(err, unix.EPIPE) {
		t.Error(err)
	}
}

func TestFile(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	o := New(f, timeout)
	text := bytes.Repeat([]byte("x"), 3*workerPiece+1)
	for _, hurried := range []bool{false, true} {
		if hurried {
			o.Hurry()
		}
		if n, err := o.Write(text); n != len(text) || err != nil {
			t.Error(n, err)
		}
	}
	one := []byte("x")
	if n := testing.AllocsPerRun(10, func() { _, _ = o.Write(one) }); n != 0 {
		t.Errorf("%v allocations for a write", n)
	}
	if n, err := o.TryWrite(text); n != 0 || err != nil {
		t.Error(n, err)
	}
	if end, err := f.Seek(0, io.SeekCurrent); err != nil || end != int64(2*len(text)+11) {
		t.Error(end, err)
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
}

// The pipe is opened only once: New uses the result of Own directly, and nothing changes for other users of the pipe.
func TestOwn(t *testing.T) {
	t.Parallel()
	r, w := blockingPipe(t)
	own := Own(w)
	if own == w {
		t.Fatal("the pipe was not opened anew")
	}
	defer own.Close()
	if own.Name() != w.Name() || isNonblocking(t, w) || !isNonblocking(t, own) {
		t.Errorf("%s: it does not wait: %v, the pipe: %v", own.Name(), isNonblocking(t, own), isNonblocking(t, w))
	}
	if again := Own(own); again != own {
		t.Error("it was opened once more")
	}
	o := New(own, timeout)
	defer o.Close()
	if o.port == nil || o.port.own {
		t.Errorf("the port is %+v", o.port)
	}
	if _, err := o.Write([]byte("text")); err != nil {
		t.Fatal(err)
	}
	text := make([]byte, 8)
	if n, err := r.Read(text); err != nil || string(text[:n]) != "text" {
		t.Errorf("got %q, %v", text[:n], err)
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if own := Own(file); own != file {
		t.Error("a file that is no pipe was opened anew")
	}
}

func isNonblocking(t *testing.T, f *os.File) bool {
	t.Helper()
	flags, err := unix.FcntlInt(uintptr(fdOf(f)), unix.F_GETFL, 0)
	if err != nil {
		t.Fatal(err)
	}
	return flags&unix.O_NONBLOCK != 0
}
