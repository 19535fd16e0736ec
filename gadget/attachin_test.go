// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// linksOf counts the links that the kernel has for a program of the gadget.
func linksOf(t *testing.T, g *running, program string) int {
	t.Helper()
	info, err := g.coll.Programs[program].Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	n := 0
	var all link.Iterator
	defer all.Close()
	for all.Next() {
		if l, err := all.Link.Info(); err == nil && l.Program == id {
			n++
		}
	}
	if err := all.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}

// rootWith makes a root directory whose file /bin/app do makes.
func rootWith(t *testing.T, do func(app string) error) string {
	t.Helper()
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := do(filepath.Join(root, "bin/app")); err != nil {
		t.Fatal(err)
	}
	return root
}

// inRootsOnly loads the fixture with a program at /bin/app in roots.
func inRootsOnly(t *testing.T) *running {
	t.Helper()
	o := userOptions(t)
	o.Places = InContainersOnly
	return start(t, userImage(t, map[string]string{"on_call": "/bin/app:work"}), o)
}

func mustAttachIn(t *testing.T, g *running, root string) io.Closer {
	t.Helper()
	c, err := g.AttachIn(root)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func closeAll(t *testing.T, all ...io.Closer) {
	t.Helper()
	for _, c := range all {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

func copyTo(from string) func(string) error {
	return func(to string) error {
		data, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		return os.WriteFile(to, data, 0o755)
	}
}

// Two roots with one file share an attachment, a copy has its own, and each call is reported once.
func TestAttachInRoots(t *testing.T) {
	kerneltest.RequireRoot(t)
	app := buildC(t, "main.c work.c")
	one := rootWith(t, copyTo(app))
	two := rootWith(t, func(to string) error { return os.Link(filepath.Join(one, "bin/app"), to) })
	other := rootWith(t, copyTo(app))
	g := inRootsOnly(t)
	if !g.HasFileProbes() {
		t.Error("the gadget has no programs for files")
	}
	if n := linksOf(t, g, "on_call"); n != 0 {
		t.Errorf("Attach has made %d links", n)
	}
	var attached []io.Closer
	for i, root := range []string{one, two, other} {
		attached = append(attached, mustAttachIn(t, g, root))
		if n, want := linksOf(t, g, "on_call"), []int{1, 1, 2}[i]; n != want {
			t.Errorf("after %d roots: %d links, want %d", i+1, n, want)
		}
	}
	var want []string
	for _, root := range []string{one, two, other} {
		want = append(want, runApp(t, []string{"call"}, nil, filepath.Join(root, "bin/app"), "2")...)
	}
	closeAll(t, attached[0])
	want = append(want, runApp(t, []string{"call"}, nil, filepath.Join(one, "bin/app"), "1")...) // still in root two
	closeAll(t, attached[1], attached[1])
	if n := linksOf(t, g, "on_call"); n != 1 {
		t.Errorf("%d links, want that of the copy only", n)
	}
	runApp(t, nil, nil, filepath.Join(one, "bin/app"), "1")
	g.expectUser(t, want)
	closeAll(t, attached[2])
	if n := linksOf(t, g, "on_call"); n != 0 {
		t.Errorf("%d links are left", n)
	}
}

// A root has what the host has: the file gets the program once.
func TestAttachInSharesWithHost(t *testing.T) {
	kerneltest.RequireRoot(t)
	app := buildC(t, "main.c work.c")
	o := userOptions(t)
	o.Places = InContainersToo
	g := start(t, userImage(t, map[string]string{"on_call": app + ":work"}), o)
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, filepath.Dir(app)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(app, filepath.Join(root, app)); err != nil {
		t.Fatal(err)
	}
	in := mustAttachIn(t, g, root)
	if n := linksOf(t, g, "on_call"); n != 1 {
		t.Errorf("%d links, want 1", n)
	}
	want := runApp(t, []string{"call"}, nil, app, "2")
	closeAll(t, in)
	want = append(want, runApp(t, []string{"call"}, nil, app, "1")...) // the host's stays
	g.expectUser(t, want)
}

// Nothing of the host is attached to by links of a hostile root, and what does not exist is no error.
func TestAttachInHostileRoots(t *testing.T) {
	kerneltest.RequireRoot(t)
	app := buildC(t, "main.c work.c")
	g := inRootsOnly(t)
	for name, do := range map[string]func(string) error{
		"empty":           func(string) error { return nil },
		"absolute link":   func(to string) error { return os.Symlink(app, to) },
		"relative link":   func(to string) error { return os.Symlink("../../../../../../../.."+app, to) },
		"without symbols": copyTo("/bin/true"),
	} {
		in, err := g.AttachIn(rootWith(t, do))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if n := linksOf(t, g, "on_call"); n != 0 {
			t.Errorf("%s: %d links", name, n)
		}
		closeAll(t, in)
	}
	for name, do := range map[string]func(string) error{
		"a pipe":         func(to string) error { return unix.Mkfifo(to, 0o600) },
		"link to itself": func(to string) error { return os.Symlink("app", to) },
		"no program":     func(to string) error { return os.WriteFile(to, []byte("\x7fELF nonsense"), 0o755) },
	} {
		in, err := g.AttachIn(rootWith(t, do))
		if err == nil || !strings.Contains(err.Error(), "/bin/app") {
			t.Errorf("%s: %v", name, err)
		}
		closeAll(t, in)
	}
	if _, err := g.AttachIn(filepath.Join(t.TempDir(), "none")); err != nil {
		t.Errorf("a root that has gone: %v", err)
	}
	if err := g.Detach(); err != nil {
		t.Error(err)
	}
	if _, err := g.AttachIn("/"); !errors.Is(err, ErrDetached) {
		t.Errorf("after Detach: %v", err)
	}
}

// mountOverlay mounts a folder below a new one that takes changes.
func mountOverlay(t *testing.T, lower string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	root := filepath.Join(dir, "root")
	options := "lowerdir=" + lower + ",upperdir=" + filepath.Join(dir, "upper") + ",workdir=" + filepath.Join(dir, "work")
	if err := unix.Mount("overlay", root, "overlay", 0, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(root, 0); err != nil {
			t.Error(err)
		}
	})
	return root
}

// Containers of one image have its files on overlayfs, each with a device of its own. They share an attachment, unless a container has
// changed its file.
func TestAttachInOverlays(t *testing.T) {
	kerneltest.RequireRoot(t)
	lower := rootWith(t, copyTo(buildC(t, "main.c work.c")))
	var roots []string
	for range 10 {
		roots = append(roots, mountOverlay(t, lower))
	}
	changed := mountOverlay(t, lower)
	f, err := os.OpenFile(filepath.Join(changed, "bin/app"), os.O_WRONLY, 0) // copies it
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	g := inRootsOnly(t)
	mustAttachIn(t, g, changed) // first: the others must not take it for theirs
	for _, root := range roots {
		mustAttachIn(t, g, root)
	}
	if n := linksOf(t, g, "on_call"); n != 2 {
		t.Errorf("%d links, want one for the image and one for the copy", n)
	}
	var want []string
	for _, root := range append(slices.Clone(roots[:3]), changed) {
		want = append(want, runApp(t, []string{"call"}, nil, filepath.Join(root, "bin/app"), "1")...)
	}
	g.expectUser(t, want)
	if err := g.Detach(); err != nil { // before the mounts end
		t.Error(err)
	}
	if n := linksOf(t, g, "on_call"); n != 0 {
		t.Errorf("%d links are left", n)
	}
}

// A description of a probe's arguments takes up room for as long as a root needs it.
func TestAttachInReleasesDescriptions(t *testing.T) {
	kerneltest.RequireRoot(t)
	o := userOptions(t)
	o.Places = InContainersOnly
	g := start(t, userImageOf(t, "user_few", map[string]string{"on_probe": "/bin/app:fixture:constant"}), o)
	var roots, want []string
	for i := range 5 {
		app := buildC(t, "constant.c", fmt.Sprintf("-DCONSTANT=%d", -i))
		roots = append(roots, rootWith(t, copyTo(app)))
	}
	call := func(root string) {
		t.Helper()
		want = append(want, runApp(t, []string{"probe"}, nil, filepath.Join(root, "bin/app"))...)
	}
	for _, root := range roots {
		attached := mustAttachIn(t, g, root)
		call(root)
		closeAll(t, attached)
	}
	first, second := mustAttachIn(t, g, roots[0]), mustAttachIn(t, g, roots[1])
	third, err := g.AttachIn(roots[2])
	if err == nil || !strings.Contains(err.Error(), "more than 2 ways") {
		t.Errorf("a third description: %v", err)
	}
	closeAll(t, first, third)
	third = mustAttachIn(t, g, roots[2])
	call(roots[1])
	call(roots[2])
	closeAll(t, second, third)
	g.expectUser(t, want)
}
