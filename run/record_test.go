// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/host"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/internal/safefile"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/wire"
)

// noEvents is a source that has none.
type noEvents struct{ schema *event.Schema }

func (s *noEvents) Schemas() []*event.Schema                     { return []*event.Schema{s.schema} }
func (s *noEvents) Next(_ context.Context, _ *event.Batch) error { return io.EOF }
func (s *noEvents) Close() error                                 { return nil }

// record prepares a recording of a source without events to the path.
func record(t *testing.T, path string) (*recording, *host.Host) {
	t.Helper()
	return recordWith(t, path, Options{})
}

func recordWith(t *testing.T, path string, o Options) (*recording, *host.Host) {
	t.Helper()
	machine := host.New()
	r := &Run{host: machine, sources: []pipeline.Source{&noEvents{&event.Schema{Name: "none", Single: true, Size: 8}}}}
	rec, err := openRecording(t.Context(), &Recording{Path: path, Gadget: "quiet"}, &Plan{options: o, gadgets: make([]plannedGadget, 1)}, r)
	if err != nil {
		t.Fatal(err)
	}
	return rec, machine
}

func closeRecording(t *testing.T, r *recording) {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// readRecording fails the test unless the bytes are a whole recording.
func readRecording(t *testing.T, data []byte) {
	t.Helper()
	r, err := wire.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var b event.Batch
	if err := r.Next(t.Context(), &b); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want the end of a recording without events", err)
	}
	if h := r.Header(); len(h.Gadgets) != 1 || h.Gadgets[0].Reference != "quiet" || h.Start.IsZero() || h.Machine.BootOffset == 0 {
		t.Errorf("the header is %+v", h)
	}
}

// Until the gadget is attached a recording changes nothing.
func TestRecordingThatDoesNotBegin(t *testing.T) {
	dir := t.TempDir()
	old, fresh, link := filepath.Join(dir, "old"), filepath.Join(dir, "fresh"), filepath.Join(dir, "link")
	writeTest(t, old, "what was recorded before")
	if err := os.Symlink("old", link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{old, fresh, link, "/dev/null"} {
		r, _ := record(t, path)
		closeRecording(t, r)
	}
	if got := readTest(t, old); got != "what was recorded before" {
		t.Errorf("the older recording is now %q", got)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 2 {
		t.Errorf("the folder has %v, %v", files, err)
	}
}

// A recording that begins replaces the old contents of the file, however long they were.
func TestRecordingReplacesAnOlderOne(t *testing.T) {
	dir := t.TempDir()
	old, fresh := filepath.Join(dir, "old"), filepath.Join(dir, "fresh")
	writeTest(t, old, strings.Repeat("x", 1<<20))
	if err := os.Chmod(old, 0o640); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{old, fresh} {
		r, machine := record(t, path)
		if err := r.begin(machine); err != nil {
			t.Fatal(err)
		}
		closeRecording(t, r)
		readRecording(t, []byte(readTest(t, path)))
	}
	if st, err := os.Stat(old); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("the older file's mode: %v, %v", st.Mode(), err)
	}
}

// Users cannot read a new recording of another user. An existing file keeps its permissions, and a warning says what that means.
func TestRecordingIsForItsOwner(t *testing.T) {
	for _, c := range []struct {
		umask     int
		old, want os.FileMode // old: 0 if there is no file
		warns     bool
	}{
		{umask: 0, want: 0o600},
		{umask: 0o022, want: 0o600},
		{umask: 0o177, want: 0o600},
		{umask: 0o077, old: 0o644, want: 0o644, warns: true},
		{umask: 0o022, old: 0o640, want: 0o640},
		{umask: 0, old: 0o600, want: 0o600},
	} {
		path := filepath.Join(t.TempDir(), "recording")
		if c.old != 0 {
			writeTest(t, path, "old")
			if err := os.Chmod(path, c.old); err != nil {
				t.Fatal(err)
			}
		}
		var log bytes.Buffer
		before := unix.Umask(c.umask)
		r, machine := recordWith(t, path, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		unix.Umask(before)
		r.warnOfReaders()
		if err := r.begin(machine); err != nil {
			t.Fatal(err)
		}
		closeRecording(t, r)
		if st, err := os.Stat(path); err != nil || st.Mode() != c.want {
			t.Errorf("umask %03o, file %03o: got %v, %v, want %v", c.umask, c.old, st.Mode(), err, c.want)
		}
		if warned := strings.Contains(log.String(), "all users may read the recording"); warned != c.warns {
			t.Errorf("umask %03o, file %03o: the log says %q", c.umask, c.old, log.String())
		}
	}
}

// A pipe and a device are no files that others read.
func TestRecordingToADeviceWarnsOfNothing(t *testing.T) {
	var log bytes.Buffer
	r, _ := recordWith(t, "/dev/null", Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	r.warnOfReaders()
	closeRecording(t, r)
	if log.Len() > 0 {
		t.Errorf("the log says %q", log.String())
	}
}

func TestRecordingToAPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, begins := range []bool{true, false} {
		read := make(chan []byte)
		go func() {
			data, _ := os.ReadFile(path)
			read <- data
		}()
		r, machine := record(t, path)
		if begins {
			if err := r.begin(machine); err != nil {
				t.Fatal(err)
			}
		}
		closeRecording(t, r)
		if data := <-read; begins {
			readRecording(t, data)
		} else if len(data) > 0 {
			t.Errorf("the pipe got %d bytes of a recording that did not begin", len(data))
		}
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Type() != os.ModeNamedPipe {
		t.Errorf("the pipe: %v, %v", st, err)
	}
}

// Who waits for the reader of a pipe can give up.
func TestRecordingToAPipeThatNobodyReads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	run := &Run{host: host.New()}
	if _, err := openRecording(ctx, &Recording{Path: path}, &Plan{}, run); !errors.Is(err, ErrRecord) || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("got %v", err)
	}
	f, err := os.Open(path) // lets the other end go
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}

func TestRecordingToAFullDisk(t *testing.T) {
	r, machine := record(t, "/dev/full")
	if err := r.begin(machine); !errors.Is(err, ErrRecord) || !errors.Is(err, unix.ENOSPC) {
		t.Errorf("got %v", err)
	}
	closeRecording(t, r)
}

func TestRecordingThatCannotBeOpened(t *testing.T) {
	run := &Run{host: host.New()}
	for _, path := range []string{t.TempDir(), filepath.Join(t.TempDir(), "no", "folder")} {
		if _, err := openRecording(t.Context(), &Recording{Path: path}, &Plan{}, run); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: got %v", path, err)
		}
	}
}

// Root does not record through the link of another user, and removes nothing.
func TestRecordingThroughAForeignLink(t *testing.T) {
	kerneltest.RequireRoot(t)
	dir := t.TempDir()
	link, file := filepath.Join(dir, "link"), filepath.Join(dir, "file")
	writeTest(t, file, "old")
	const nobody = 65534
	if err := errors.Join(os.Symlink(file, link), os.Lchown(link, nobody, nobody)); err != nil {
		t.Fatal(err)
	}
	if _, err := openRecording(t.Context(), &Recording{Path: link}, &Plan{}, &Run{host: host.New()}); !errors.Is(err, ErrRecord) || !errors.Is(err, safefile.ErrUntrusted) {
		t.Errorf("got %v", err)
	}
	if got := readTest(t, file); got != "old" {
		t.Errorf("the file has %q", got)
	}
}

func writeTest(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readTest(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
