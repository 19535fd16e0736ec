// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package userdb

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/semtype"
)

var _ semtype.Names = (*File)(nil)

const passwd = "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n"

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// age makes f look at its file at the next lookup, as the timer does.
func age(f *File) { f.fresh.Store(false) }

// backdate gives the file a time of change that is long past, so that its state counts as settled.
func backdate(t testing.TB, path string) {
	t.Helper()
	then := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, then, then); err != nil {
		t.Fatal(err)
	}
}

func wantName(t *testing.T, f *File, id uint32, want string) {
	t.Helper()
	if got := string(f.Append([]byte("<"), id)); got != "<"+want {
		t.Errorf("Append(%d) = %q, want %q", id, got, "<"+want)
	}
}

func TestAppend(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "passwd")
	writeFile(t, path, passwd)
	f := New(path)
	wantName(t, f, 0, "root")
	wantName(t, f, 1000, "alice")
	wantName(t, f, 1001, "")
	wantName(t, f, ^uint32(0), "")
}

func TestFollowsChanges(t *testing.T) {
	t.Parallel()
	const bob = "root:x:0:0:root:/root:/bin/sh\nboban:x:1000:1000::/home/alice:/bin/sh\n" // as long as passwd
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, path string)
		want   string
	}{
		{"nothing", func(*testing.T, string) {}, "alice"},
		{"longer", func(t *testing.T, path string) { writeFile(t, path, "bob:x:1000:"+passwd) }, "bob"},
		{"same length, later", func(t *testing.T, path string) { writeFile(t, path, bob) }, "boban"},
		{"replaced by one of the same length and time", func(t *testing.T, path string) {
			writeFile(t, path+".new", bob)
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path+".new", info.ModTime(), info.ModTime()); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
		}, "boban"},
		{"removed", func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}, "alice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "passwd")
			writeFile(t, path, passwd)
			backdate(t, path)
			f := New(path)
			wantName(t, f, 1000, "alice")
			tt.change(t, path)
			age(f)
			wantName(t, f, 1000, tt.want)
		})
	}
}

// A second change within the coarseness of the file system's times must not go unseen.
func TestSameTimeSameLength(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "group")
	writeFile(t, path, "aaa:x:1:\n")
	f := New(path)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, "bbb:x:1:\n")
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	age(f)
	wantName(t, f, 1, "bbb")
}

func TestFileAppearsLater(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "passwd")
	f := New(path)
	wantName(t, f, 0, "")
	writeFile(t, path, passwd)
	age(f)
	wantName(t, f, 0, "root")
}

func TestNotRegular(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	wantName(t, New(dir), 0, "")
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	wantName(t, New(fifo), 0, "") // and does not wait for a writer
}

func TestNoticesByItself(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "passwd")
	writeFile(t, path, passwd)
	f := New(path)
	writeFile(t, path, "carol:x:1000:\n")
	for end := time.Now().Add(20 * checkInterval); time.Now().Before(end); time.Sleep(checkInterval / 50) {
		if string(f.Append(nil, 1000)) == "carol" {
			return
		}
	}
	t.Error("the change was never noticed")
}

// The file is checked at most once in an interval, however many lookups there are.
func TestLooksOnceAnInterval(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "passwd")
	writeFile(t, path, passwd)
	f := &File{path: path, interval: time.Hour}
	f.names.Store(new(map[uint32]string))
	wantName(t, f, 1000, "alice")
	writeFile(t, path, "carol:x:1000:\n")
	for range 1000 {
		wantName(t, f, 1000, "alice")
	}
	f.timer.Stop()
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "passwd")
	writeFile(t, path, passwd)
	f := New(path)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				age(f)
				if got := string(f.Append(nil, 0)); got != "root" {
					t.Errorf("got %q", got)
				}
			}
		})
	}
	for i := range 50 {
		writeFile(t, path+".new", fmt.Sprintf("%suser%d:x:5:\n", passwd, i))
		if err := os.Rename(path+".new", path); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}

func TestAppendAllocatesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "passwd")
	writeFile(t, path, passwd)
	f := New(path)
	dst := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(1000, func() { dst = f.Append(dst[:0], 1000) }); n != 0 {
		t.Errorf("%v allocations for a name", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	path := filepath.Join(b.TempDir(), "passwd")
	writeFile(b, path, passwd)
	f := New(path)
	dst := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		dst = f.Append(dst[:0], 1000)
	}
}

func ExampleFile_Append() {
	users := Users()
	fmt.Printf("%s %q\n", users.Append(nil, 0), users.Append(nil, 4_000_000_000))
	// Output: root ""
}

func TestTableCopiesTheLowestIDs(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "passwd")
	if err := os.WriteFile(path, []byte("c:x:30:\na:x:10:\nb:x:20:\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := New(path)
	table := f.Table(2)
	if len(table) != 2 || table[10] != "a" || table[20] != "b" {
		t.Errorf("got %v", table)
	}
	if got := f.Table(9); len(got) != 3 {
		t.Errorf("got %v", got)
	}
	if got := table.Append([]byte("user "), 20); string(got) != "user b" {
		t.Errorf("got %q", got)
	}
	if got := table.Append(nil, 30); len(got) != 0 {
		t.Errorf("got %q for an id without a name", got)
	}
}

func TestVersionChangesWithTheNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "group")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	write("old:x:7:\n")
	f := New(path)
	before := f.Version()
	if f.Version() != before {
		t.Error("another version of the same names")
	}
	write("new:x:7:\n")
	for deadline := time.Now().Add(5 * time.Second); f.Version() == before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the version has not changed")
		}
	}
	if got := f.Append(nil, 7); string(got) != "new" {
		t.Errorf("got %q with the new version", got)
	}
}
