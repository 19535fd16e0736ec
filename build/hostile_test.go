// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/internal/plain"
	"github.com/gizmo-ebpf/gizmo/internal/safefile"
)

const otherUser = 65534

// theirs gives files to another user.
func theirs(t testing.TB, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if err := os.Lchown(path, otherUser, otherUser); err != nil {
			t.Fatal(err)
		}
	}
}

// Another user exchanges a folder on the way to the cache for a link while root builds. Builds go on without
// the cache, and root writes neither there nor where the link points to.
func TestCacheWhileSwapped(t *testing.T) {
	kerneltest.RequireRoot(t)
	b := newBench(t)
	b.o.Verbose = nil
	want := b.build().Object
	dir := t.TempDir()
	home, target := filepath.Join(dir, "home"), filepath.Join(dir, "target")
	for _, folder := range []string{home, home + "/cache", target} {
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(target, home+"/link"); err != nil {
		t.Fatal(err)
	}
	theirs(t, home, home+"/link") // "cache" is root's, as if sudo had made it
	done := make(chan struct{})
	var attacker sync.WaitGroup
	attacker.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if err := unix.Renameat2(unix.AT_FDCWD, home+"/cache", unix.AT_FDCWD, home+"/link", unix.RENAME_EXCHANGE); err != nil {
				t.Errorf("exchange: %v", err)
				return
			}
		}
	})
	for i := range 8 {
		b.o.Cache = home + "/cache"
		if i%2 == 0 {
			b.o.Cache += "/deeper/gizmo"
		}
		r := b.build()
		if r.Cached || !bytes.Equal(r.Object, want) {
			t.Errorf("cached %v, right object %v", r.Cached, bytes.Equal(r.Object, want))
		}
		if !errors.Is(r.NoCache, safefile.ErrUntrusted) || !strings.Contains(r.NoCache.Error(), "building without a cache: "+home+" belongs to the user 65534") {
			t.Errorf("the user is told %v", r.NoCache)
		}
	}
	close(done)
	attacker.Wait()
	for _, folder := range []string{target, home + "/cache/", home + "/link/"} {
		if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
			t.Errorf("root wrote to %s: %v, %v", folder, left, err)
		}
	}
}

// An open cache stays the folder that was checked, whatever its path leads to later.
func TestCacheIsUsedByDescriptor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, moved, other := dir+"/cache", dir+"/moved", t.TempDir()
	c, err := openCache(path, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if err := errors.Join(os.Rename(path, moved), os.Symlink(other, path)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(other+"/"+objectKind, 0o700); err != nil {
		t.Fatal(err)
	}
	c.save(objectKind, "key", []byte("data"), 10)
	if got, ok := c.load(objectKind, "key"); !ok || string(got) != "data" {
		t.Errorf("got %q, %v", got, ok)
	}
	if _, err := os.Stat(moved + "/objects/key"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(other + "/objects/key"); err == nil {
		t.Error("it was written to another folder")
	}
}

// Whatever is wrong with a file of the cache, it is not used, and the build goes on.
func TestStrangeFilesInCache(t *testing.T) {
	kerneltest.RequireRoot(t)
	strange := map[string]func(path string) error{
		"of another user":  func(path string) error { return os.Chown(path, otherUser, otherUser) },
		"others can write": func(path string) error { return os.Chmod(path, 0o622) },
		"too large":        func(path string) error { return os.Truncate(path, maxEntry+1) },
		"a pipe":           func(path string) error { return errors.Join(os.Remove(path), unix.Mkfifo(path, 0o600)) },
		"a device":         func(path string) error { return errors.Join(os.Remove(path), os.Symlink("/dev/zero", path)) },
	}
	b := newBench(t)
	files{"program.bpf.c": "#include <vmlinux.h>\n#include <gadget/types.h>\ngadget_errno e;\n"}.write(t, b.gadget)
	b.o.Include = ""
	want := b.build().Object
	for name, make := range strange {
		for _, pattern := range []string{"/objects/*", "/include/*/gadget/types.h"} {
			paths, err := filepath.Glob(b.o.Cache + pattern)
			if err != nil || len(paths) != 1 {
				t.Fatalf("%s: %q, %v", pattern, paths, err)
			}
			if err := make(paths[0]); err != nil {
				t.Fatal(err)
			}
			if pattern != "/objects/*" { // else the headers are not needed
				if err := os.RemoveAll(b.o.Cache + "/objects"); err != nil {
					t.Fatal(err)
				}
			}
			if r := b.build(); r.Cached || !bytes.Equal(r.Object, want) {
				t.Errorf("%s: %s: cached %v, right object %v", pattern, name, r.Cached, bytes.Equal(r.Object, want))
			}
			if r := b.build(); !r.Cached {
				t.Errorf("%s: %s: not repaired\n%s", pattern, name, b.log.String())
			}
		}
	}
	// Neither is a folder used that others could change after it was looked at.
	for _, folder := range []string{"", "/objects", "/include", "/work"} {
		cache := t.TempDir()
		if err := os.MkdirAll(cache+folder, 0o700); err != nil {
			t.Fatal(err)
		}
		theirs(t, cache+folder)
		if c, err := openCache(cache, t.Logf); !errors.Is(err, safefile.ErrUntrusted) {
			c.close()
			t.Errorf("%s of another user: error %v", folder, err)
		}
	}
}

// Names and texts of a gadget reach the terminal as something to read, not as something that acts.
func TestHostileNames(t *testing.T) {
	const evil, shown = "a\x1b]0;title\x07\u202eb\u200bc", `a\x1b]0;title\x07\u202eb\u200bc`
	b := newBench(t)
	b.gadget = filepath.Join(t.TempDir(), evil)
	files{"program.bpf.c": "#include \"" + evil + ".h\"\nint a;\n", evil + ".h": "static int unused;\n#warning " + evil + "\n"}.write(t, b.gadget)
	r := b.build()
	if !strings.Contains(r.Warnings, shown+".h:2:2: warning: ") || strings.Count(r.Warnings, "\n") < 4 {
		t.Errorf("warnings %q", r.Warnings)
	}
	if again := b.build(); again.Warnings != r.Warnings {
		t.Errorf("from the cache: warnings %q", again.Warnings)
	}
	texts := []string{r.Warnings, b.log.String()}
	for _, program := range []string{"int a = \"" + evil + "\n", ""} {
		files{"program.bpf.c": program}.write(t, b.gadget)
		if program == "" {
			os.Remove(b.gadget + "/program.bpf.c")
		}
		_, err := Dir(t.Context(), b.gadget, &b.o)
		if err == nil || !strings.Contains(err.Error(), shown) {
			t.Errorf("error %v", err)
			continue
		}
		texts = append(texts, err.Error())
		if ce := (*CompileError)(nil); errors.As(err, &ce) {
			texts = append(texts, ce.Output)
		} else if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the cause is lost: %v", err)
		}
	}
	for _, text := range texts {
		if text != plain.Lines(text) {
			t.Errorf("not plain: %q", text)
		}
	}
}

// Colours that the environment asks for do not get into messages.
func TestNoColours(t *testing.T) {
	b := newBench(t)
	t.Setenv("CLICOLOR_FORCE", "1")
	files{"program.bpf.c": "static int unused;\nint used;\n"}.write(t, b.gadget)
	if r := b.build(); !strings.Contains(r.Warnings, "unused") || strings.ContainsAny(r.Warnings, "\x1b") || strings.Contains(r.Warnings, `\x1b`) {
		t.Errorf("warnings %q", r.Warnings)
	}
}

// A compiler that does not stop talking does not take all the memory.
func TestEndlessMessages(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.o.Clang = filepath.Join(t.TempDir(), "clang")
	script := "#!/bin/sh\n[ \"$1\" = --version ] && { echo clang version 19.1.0; exit; }\nyes error: | head -c 5000000 >&2\nexit 1\n"
	kerneltest.WriteProgram(t, b.o.Clang, []byte(script))
	_, err := Dir(t.Context(), b.gadget, &b.o)
	var ce *CompileError
	if !errors.As(err, &ce) {
		t.Fatalf("error %v", err)
	}
	if len(ce.Output) > maxMessages+100 || !strings.HasSuffix(ce.Output, "\n(and 3951424 bytes more)\n") {
		t.Errorf("%d bytes, ending with %q", len(ce.Output), ce.Output[len(ce.Output)-40:])
	}
}
