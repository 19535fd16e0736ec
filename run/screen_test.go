// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/encode"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/internal/outlet"
)

// newTerminal returns a terminal of 40 columns, and a function that reads what was written to it.
func newTerminal(t *testing.T) (terminal *os.File, written func(n int) string) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keyboard.Close() })
	n, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	if _, err := term.MakeRaw(int(terminal.Fd())); err != nil { // so that line ends stay as they are
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 10, Col: 40}); err != nil {
		t.Fatal(err)
	}
	return terminal, func(n int) string { // a terminal hands out in pieces what was written at once
		_ = keyboard.SetReadDeadline(time.Now().Add(10 * time.Second))
		var got []byte
		for buf := make([]byte, 4096); len(got) < n; {
			m, err := keyboard.Read(buf)
			if err != nil {
				t.Errorf("after %q: %v", got, err)
				break
			}
			got = append(got, buf[:m]...)
		}
		return string(got)
	}
}

// show writes an array of two rows, and one without rows, after the head.
func show(t *testing.T, w io.Writer, mode string, single bool, settings *annotation.Source) {
	t.Helper()
	s := &event.Schema{Name: "calls", Single: single, Size: 1, Fields: []event.Field{
		{Name: "n", Kind: event.Uint, Types: []string{"__u8"}, Size: 1, Parent: event.NoParent},
	}}
	format, err := encode.Lookup(mode)
	if err != nil {
		t.Fatal(err)
	}
	o := textSink{w: w, width: outlet.Width(w), formats: map[event.SourceID]textFormat{s.ID(): {Format: format, settings: *settings}}}
	if _, err := o.Bind(s); err != nil {
		t.Fatal(err)
	}
	if err := o.begin(); err != nil {
		t.Fatal(err)
	}
	for _, rows := range [][][]byte{{{1}, {2}}, {}} {
		if err := o.Write(&event.Batch{Schema: s, Rows: rows}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestArraysOnATerminal(t *testing.T) {
	const clear = "\x1b[H\x1b[2J"
	for _, c := range []struct {
		name, mode string
		single     bool
		clear      bool
		want       string
	}{
		{"cleared", "columns", false, true, clear + "N\n" + clear + "N\n1\n2\n" + clear + "N\n"},
		{"one below the other", "columns", false, false, "N\n1\n2\nN\n"},
		{"single events", "columns", true, true, "N\n1\n2\n"},
		{"json", "json", false, true, "[{\"n\":1},{\"n\":2}]\n[]\n"},
	} {
		terminal, written := newTerminal(t)
		show(t, terminal, c.mode, c.single, &annotation.Source{ClearScreen: c.clear})
		if got := written(len(c.want)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// An output that is not a terminal gets no control characters.
func TestArraysElsewhere(t *testing.T) {
	var out bytes.Buffer
	show(t, &out, "columns", false, &annotation.Source{ClearScreen: true})
	if got, want := out.String(), "N\n1\n2\nN\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
