// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package names_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/symbol/names"
)

// jit is a process with a folder as its root, or that of this test.
type jit struct {
	t    *testing.T
	proc string // its folder in /proc
	file string // where its map is to be
	now  time.Time
}

// startJIT starts a process that sleeps. Its root is a new folder, so that the tests leave /tmp alone.
func startJIT(t *testing.T, uid uint32) *jit {
	t.Helper()
	kerneltest.RequireRoot(t)
	root := t.TempDir()
	sleep := compile(t, "go", "./sleeper")
	if err := os.MkdirAll(filepath.Join(root, "tmp"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(sleep, filepath.Join(root, "sleeper")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/sleeper")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Chroot: root, Credential: &syscall.Credential{Uid: uid, Gid: uid}, Cloneflags: syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL,
	}
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return &jit{
		t: t, proc: fmt.Sprintf("/proc/%d", cmd.Process.Pid), now: time.Unix(1000, 0),
		file: filepath.Join(root, "tmp/perf-1.map"), // it is the first process of its namespace
	}
}

func (j *jit) write(text string, uid int) {
	j.t.Helper()
	if err := os.WriteFile(j.file, []byte(text), 0o600); err != nil {
		j.t.Fatal(err)
	}
	if err := os.Chown(j.file, uid, uid); err != nil {
		j.t.Fatal(err)
	}
}

func (j *jit) open() *names.PerfMap {
	j.t.Helper()
	m, err := names.NewFiles(names.Options{}).OpenPerfMapAt(j.proc, func() time.Time { return j.now })
	if err != nil {
		j.t.Fatal(err)
	}
	j.t.Cleanup(func() { m.Close() })
	return m
}

func checkMap(t *testing.T, m *names.PerfMap, want map[uint64]string) {
	t.Helper()
	for addr, name := range want {
		got := ""
		if fn := m.Lookup(addr); fn != nil {
			got = fn.Name
		}
		if got != name {
			t.Errorf("%#x: %q, want %q (%v)", addr, got, name, m.Err())
		}
	}
}

func TestPerfMap(t *testing.T) {
	const uid = 12345
	j := startJIT(t, uid)
	m := j.open()
	if err := m.Err(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	j.write("1000 100 LazyCompile:*main /app.js:1:1\n2000 10 old\nnonsense\n3000 10 ha", uid)
	checkMap(t, m, map[uint64]string{0x1000: ""}) // not looked at again so soon
	j.now = j.now.Add(time.Second)
	checkMap(t, m, map[uint64]string{
		0x1000: "LazyCompile:*main /app.js:1:1", 0x10ff: "LazyCompile:*main /app.js:1:1", 0x1100: "", 0xfff: "", 0x2000: "old", 0x3000: "",
	})
	// The program goes on with its line, and puts new code in the place of old code.
	f, err := os.OpenFile(j.file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("lf\n2008 10 new\n"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	checkMap(t, m, map[uint64]string{0x2017: ""})
	j.now = j.now.Add(time.Second)
	checkMap(t, m, map[uint64]string{0x3000: "half", 0x2007: "old", 0x2008: "new", 0x2017: "new", 0x2018: ""})
	// It begins its map again.
	j.write("5000 10 again\n", uid)
	j.now = j.now.Add(time.Second)
	checkMap(t, m, map[uint64]string{0x5000: "again", 0x1000: ""})
	// Another file has the name.
	if err := os.Remove(j.file); err != nil {
		t.Fatal(err)
	}
	j.write("6000 10 an other\n6010 10 one\n7000 1 more\n", uid)
	j.now = j.now.Add(time.Second)
	checkMap(t, m, map[uint64]string{0x6000: "an other", 0x5000: ""})
	// Its file outlives its name.
	if err := os.Remove(j.file); err != nil {
		t.Fatal(err)
	}
	j.now = j.now.Add(time.Second)
	checkMap(t, m, map[uint64]string{0x6010: "one", 0x5000: ""})
}

func TestBadPerfMaps(t *testing.T) {
	const uid = 12345
	j := startJIT(t, uid)
	good := "1000 100 f\n"
	outside := filepath.Join(t.TempDir(), "perf-1.map")
	if err := os.WriteFile(outside, []byte(good), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(outside, uid, uid); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		make func() error
		want string
	}{
		"another user's": {func() error { j.write(good, uid+1); return nil }, "belongs to the user 12346"},
		"root's":         {func() error { j.write(good, 0); return nil }, "belongs to the user 0"},
		"a link":         {func() error { return os.Symlink(outside, j.file) }, "not a regular file"},
		"a pipe":         {func() error { return syscall.Mkfifo(j.file, 0o666) }, "not a regular file"},
		"a folder":       {func() error { return os.Mkdir(j.file, 0o777) }, "not a regular file"},
		"10 GB":          {func() error { j.write(good, uid); return os.Truncate(j.file, 10e9) }, "more than"},
		"a link on the way": {func() error {
			return errors.Join(os.Remove(filepath.Dir(j.file)), os.Symlink("/tmp", filepath.Dir(j.file)))
		}, "too many levels"}, // it leads to itself, in the root of the process
	}
	for _, name := range []string{"another user's", "root's", "a link", "a pipe", "a folder", "10 GB", "a link on the way"} {
		if err := tests[name].make(); err != nil {
			t.Fatal(err)
		}
		m := j.open()
		if fn := m.Lookup(0x1000); fn != nil {
			t.Errorf("%s: %+v", name, fn)
		}
		if err := m.Err(); err == nil || !strings.Contains(err.Error(), tests[name].want) {
			t.Errorf("%s: %v, want %q", name, err, tests[name].want)
		}
		if err := os.Remove(j.file); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

// A file grows beyond what gizmo reads while it is used.
func TestPerfMapGrows(t *testing.T) {
	j := startJIT(t, 0)
	j.write("1000 100 f\n", 0)
	m := j.open()
	checkMap(t, m, map[uint64]string{0x1000: "f"})
	if err := os.Truncate(j.file, 10e9); err != nil {
		t.Fatal(err)
	}
	j.now = j.now.Add(time.Second)
	checkMap(t, m, map[uint64]string{0x9000: "", 0x1000: ""})
	if err := m.Err(); !errors.Is(err, names.ErrIgnored) {
		t.Errorf("got %v", err)
	}
	var b bytes.Buffer
	for i := range 300_000 {
		fmt.Fprintf(&b, "%x 1 f\n", 2*i)
	}
	j.write(b.String(), 0)
	j.now = j.now.Add(time.Second)
	checkMap(t, m, map[uint64]string{0x1000: ""})
	if err := m.Err(); !errors.Is(err, names.ErrIgnored) || !strings.Contains(err.Error(), "functions") {
		t.Errorf("got %v", err)
	}
}

func TestPerfMapOfNobody(t *testing.T) {
	t.Parallel()
	if _, err := names.NewFiles(names.Options{}).OpenPerfMap(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// Later lines count more than earlier ones, whichever way they overlap: the same as by asking each line in turn.
func TestPerfRanges(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var text bytes.Buffer
		owner := make([]int64, 128)
		for i := range owner {
			owner[i] = -1
		}
		var pieces [][]byte
		at := 0
		for range 1 + r.IntN(30) {
			start, size := r.IntN(100), 1+r.IntN(28)
			line := fmt.Sprintf("%x %x n\n", start, size)
			for a := start; a < start+size; a++ {
				owner[a] = int64(at + len(line) - 2)
			}
			at += len(line)
			text.WriteString(line)
			if r.IntN(3) == 0 {
				cut := r.IntN(text.Len())
				pieces = append(pieces, bytes.Clone(text.Next(cut)))
			}
		}
		pieces = append(pieces, text.Bytes())
		addrs := make([]uint64, len(owner))
		for i := range addrs {
			addrs[i] = uint64(i)
		}
		places, err := names.PerfRanges(pieces, addrs)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range places {
			if p != owner[i] {
				t.Fatalf("address %d: %d, want %d of %q", i, p, owner[i], pieces)
			}
		}
	}
}

func FuzzPerfRanges(f *testing.F) {
	f.Add([]byte("1000 100 f\n0x1010 0x10 g h\r\n\n1 1\nffffffffffffffff 2 z\n"), uint64(0x1010), 11)
	f.Fuzz(func(t *testing.T, text []byte, addr uint64, cut int) {
		cut = max(0, min(cut, len(text)))
		parts, err := names.PerfRanges([][]byte{text[:cut], text[cut:]}, []uint64{addr})
		if err != nil {
			t.Fatal(err)
		}
		whole, err := names.PerfRanges([][]byte{text}, []uint64{addr})
		if err != nil || whole[0] != parts[0] || whole[0] >= int64(len(text)) {
			t.Errorf("%v, %v, %v", parts, whole, err)
		}
	})
}
