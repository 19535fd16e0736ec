// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0

package gadget_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// pathMax is GADGET_PATH_MAX.
const pathMax = 512

// text runs a program that leaves a path in its map, and checks that the bytes after the
// path are unchanged.
func text(t *testing.T, coll *ebpf.Collection, prog string, args ...uint64) string {
	t.Helper()
	n := int32(run(t, coll.Programs[prog], args...))
	if n < 1 {
		t.Errorf("%s: returned %d", prog, n)
		return ""
	}
	return shown(t, coll, int(n))
}

func shown(t *testing.T, coll *ebpf.Collection, n int) string {
	t.Helper()
	raw := make([]byte, pathMax)
	if err := coll.Maps["path"].Lookup(uint32(0), &raw); err != nil {
		t.Fatal(err)
	}
	str, rest, ok := bytes.Cut(raw, []byte{0})
	if !ok || len(str)+1 != n || bytes.Count(rest, []byte{0xff}) != len(rest) {
		t.Errorf("length %d, but the path is %q", n, raw)
	}
	return string(str)
}

// open opens a file until the test ends.
func open(t *testing.T, path string, flags int) int {
	t.Helper()
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0o600)
	if err != nil {
		t.Fatal(path, err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func mkdir(t *testing.T, path string) string {
	t.Helper()
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// The kernel's own answer is the oracle.
func readlink(t *testing.T, path string) string {
	t.Helper()
	to, err := os.Readlink(path)
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func fdLink(t *testing.T, fd int) string {
	t.Helper()
	return readlink(t, fmt.Sprintf("/proc/thread-self/fd/%d", fd))
}

// checkPath asks each of the ways to a path of an open file.
func checkPath(t *testing.T, coll *ebpf.Collection, fd int, want string) {
	t.Helper()
	for _, prog := range []string{"fd_path", "file_path", "path_path"} {
		if got := text(t, coll, prog, uint64(fd)); got != want {
			t.Errorf("%s: got %q, want %q", prog, got, want)
		}
	}
}

func TestPaths(t *testing.T) {
	requireKernel(t)
	coll := load(t, parse(t, "filesystem"), nil)
	dir := t.TempDir()
	deep := mkdir(t, filepath.Join(dir, strings.Repeat("deep/", 40)))
	tests := map[string]string{
		"the root":            "/",
		"a directory":         dir,
		"a device":            "/dev/null",
		"proc, another mount": "/proc/self/status",
		"deep":                deep,
		"longest name":        filepath.Join(dir, strings.Repeat("n", 255)),
		"name of one":         filepath.Join(dir, "a"),
		"odd name":            filepath.Join(dir, "with space\tand\nmore \xff\u00fc"),
	}
	for name, path := range tests {
		t.Run(name, func(t *testing.T) {
			flags := unix.O_RDONLY
			if _, err := os.Stat(path); err != nil {
				flags |= unix.O_CREAT
			}
			fd := open(t, path, flags)
			checkPath(t, coll, fd, fdLink(t, fd))
		})
	}
}

// Up to the longest that fits; beyond that, the end of the path counts.
func TestPathLengths(t *testing.T) {
	requireKernel(t)
	coll := load(t, parse(t, "filesystem"), nil)
	base := t.TempDir()
	for _, length := range []int{250, 505, 506, 507, 508, 509, 510, 511, 512, 513, 514, 600, 2000} {
		path := base
		for len(path)+200 < length {
			path += "/" + strings.Repeat("d", 150)
		}
		path += "/" + strings.Repeat("f", length-len(path)-1)
		if name := filepath.Base(path); len(name) > 255 {
			path = filepath.Join(filepath.Dir(path), name[:100], name[101:])
		}
		mkdir(t, filepath.Dir(path))
		fd := open(t, path, unix.O_CREAT)
		checkPath(t, coll, fd, cutPath(path))
	}
}

// cutPath is the text of a path that is too long: whole names, as many as fit.
func cutPath(path string) string {
	const mark = "..."
	if len(path) <= pathMax-1-len(mark) {
		return path
	}
	end := path[len(path)-(pathMax-1-len(mark)):]
	return mark + end[strings.Index(end, "/"):]
}

// Directories as deep as the longest path that fits, and deeper. There are files at all depths,
// so the test covers each length of a path.
func TestDeepPaths(t *testing.T) {
	coll := load(t, parse(t, "filesystem"), nil)
	inMounts(t, func(t *testing.T) {
		const base = "/mnt"
		mount(t, "tmpfs", base, "tmpfs", 0, "")
		defer unix.Unmount(base, unix.MNT_DETACH)
		for _, depth := range []int{30, 60, 100, 127, 128, 129, 200, 240, 250, 251, 252, 253, 254, 300, 600} {
			dir := mkdir(t, base+strings.Repeat("/d", depth))
			for _, name := range []string{"f", "ff", "file"} {
				path := dir + "/" + name
				fd := open(t, path, unix.O_CREAT)
				if got := fdLink(t, fd); got != path {
					t.Fatalf("depth %d: the kernel says %q", depth, got)
				}
				checkPath(t, coll, fd, cutPath(path))
			}
		}
	})
}

// Each mount is a step up, too. The walk takes a few more of these than there is place for names.
func TestPathsAcrossManyMounts(t *testing.T) {
	coll := load(t, parse(t, "filesystem"), nil)
	inMounts(t, func(t *testing.T) {
		path := "/mnt"
		for range 100 {
			mount(t, "tmpfs", path, "tmpfs", 0, "")
			path += "/m"
		}
		fd := open(t, path, unix.O_CREAT)
		checkPath(t, coll, fd, path)
		deep := mkdir(t, filepath.Dir(path)+strings.Repeat("/d", 130)) // 230 names, 100 mounts
		fd = open(t, deep+"/f", unix.O_CREAT)
		got := text(t, coll, "fd_path", uint64(fd))
		if end, cut := strings.CutPrefix(got, "..."); !cut || !strings.HasSuffix(deep+"/f", end) || strings.Count(end, "/") < 200 {
			t.Errorf("%q is no end of %q", got, deep)
		}
		unix.Unmount("/mnt", unix.MNT_DETACH)
	})
}

// Files that are in no directory.
func TestPathsOutside(t *testing.T) {
	requireKernel(t)
	coll := load(t, parse(t, "filesystem"), nil)
	memfd, err := unix.MemfdCreate("some name", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(memfd)
	if want := strings.TrimSuffix(strings.TrimPrefix(fdLink(t, memfd), "/"), " (deleted)"); want != "memfd:some name" {
		t.Fatal(want)
	}
	checkPath(t, coll, memfd, "memfd:some name")

	event, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(event)
	checkPath(t, coll, event, strings.TrimPrefix(fdLink(t, event), "anon_inode:"))

	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	checkPath(t, coll, pipe[1], "")
}

func TestPathsOfNoFile(t *testing.T) {
	requireKernel(t)
	coll := load(t, parse(t, "filesystem"), nil)
	unused := uint64(open(t, "/", unix.O_RDONLY) + 10000)
	for _, fd := range []uint64{unused, 1<<31 - 1, ^uint64(0)} {
		for prog, want := range map[string]int32{"fd_path": -int32(unix.EBADF), "file_path": -2} {
			if got := int32(run(t, coll.Programs[prog], fd)); got != want {
				t.Errorf("%s of %d: returned %d, want %d", prog, int32(fd), got, want)
			}
		}
	}
}

// A deleted file has its last path, a moved file its current one.
func TestPathsOfMovedFiles(t *testing.T) {
	requireKernel(t)
	coll := load(t, parse(t, "filesystem"), nil)
	dir := t.TempDir()
	path := filepath.Join(mkdir(t, filepath.Join(dir, "before")), "file")
	fd := open(t, path, unix.O_CREAT)
	if err := os.Rename(filepath.Dir(path), filepath.Join(dir, "now")); err != nil {
		t.Fatal(err)
	}
	checkPath(t, coll, fd, fdLink(t, fd))
	if err := os.RemoveAll(filepath.Join(dir, "now")); err != nil {
		t.Fatal(err)
	}
	checkPath(t, coll, fd, strings.TrimSuffix(fdLink(t, fd), " (deleted)"))
}

// inMounts runs f in a thread with a new mount namespace, whose mounts no other namespace sees.
func inMounts(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	requireKernel(t)
	onOwnThread(func() {
		if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
			t.Error(err)
			return
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			t.Error(err)
			return
		}
		f(t)
	})
}

func mount(t *testing.T, source, target, kind string, flags uintptr, data string) {
	t.Helper()
	if err := unix.Mount(source, mkdir(t, target), kind, flags, data); err != nil {
		t.Fatal("mounting", kind, err)
	}
}

// Mounts on mounts, parts of trees mounted elsewhere, and a mount that was taken away.
func TestPathsAcrossMounts(t *testing.T) {
	coll := load(t, parse(t, "filesystem"), nil)
	dir := t.TempDir()
	inMounts(t, func(t *testing.T) {
		a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
		mount(t, "tmpfs", a, "tmpfs", 0, "")
		mount(t, "tmpfs", a+"/inner", "tmpfs", 0, "")
		mkdir(t, a+"/inner/part/of")
		mount(t, a+"/inner/part", b, "", unix.MS_BIND, "")
		for _, path := range []string{a, a + "/inner", a + "/inner/part/of", b, b + "/of", b + "/.."} {
			fd := open(t, path, unix.O_RDONLY)
			checkPath(t, coll, fd, fdLink(t, fd))
		}
		file := open(t, b+"/of/file", unix.O_CREAT)
		// From the root of its file system, whichever way it was reached.
		if got := text(t, coll, "dentry_path", uint64(file)); got != "/part/of/file" {
			t.Errorf("of the entry: %q", got)
		}
		if err := unix.Unmount(b, unix.MNT_DETACH); err != nil {
			t.Fatal(err)
		}
		checkPath(t, coll, file, fdLink(t, file))
		unix.Unmount(a, unix.MNT_DETACH)
	})
}

// A path does not end at a changed root, but at the root of the mount namespace.
func TestPathsInChroot(t *testing.T) {
	coll := load(t, parse(t, "filesystem"), nil)
	dir := t.TempDir()
	inMounts(t, func(t *testing.T) {
		root := filepath.Join(dir, "root")
		mount(t, "tmpfs", root, "tmpfs", 0, "")
		mkdir(t, root+"/etc")
		outside := open(t, "/", unix.O_RDONLY)
		if err := unix.Chroot(root); err != nil {
			t.Fatal(err)
		}
		inside := open(t, "/etc", unix.O_RDONLY)
		checkPath(t, coll, inside, root+"/etc")
		if err := unix.Fchdir(outside); err != nil {
			t.Fatal(err)
		}
		if err := unix.Chroot("."); err != nil {
			t.Fatal(err)
		}
		if err := unix.PivotRoot(root, root); err != nil {
			t.Log("pivot_root: ", err) // not on a root file system in memory
			return
		}
		checkPath(t, coll, inside, "/etc")
	})
}

func TestCwdAndExe(t *testing.T) {
	coll := load(t, parse(t, "filesystem"), nil)
	if got, want := text(t, coll, "exepath"), readlink(t, "/proc/self/exe"); got != want {
		t.Errorf("the program is %q, want %q", got, want)
	}
	dir := t.TempDir()
	inMounts(t, func(t *testing.T) {
		mount(t, "tmpfs", dir, "tmpfs", 0, "")
		defer unix.Unmount(dir, unix.MNT_DETACH)
		for _, path := range []string{"/", dir, mkdir(t, dir+"/sub")} {
			if err := unix.Chdir(path); err != nil {
				t.Fatal(err)
			}
			if got, want := text(t, coll, "cwd"), readlink(t, "/proc/thread-self/cwd"); got != want {
				t.Errorf("in %s: got %q, want %q", path, got, want)
			}
		}
	})
}

func TestFileTypes(t *testing.T) {
	requireKernel(t)
	coll := load(t, parse(t, "filesystem"), nil)
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o640); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink("x", link); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(socket)
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(epoll)
	fds := map[string]int{
		"regular":   open(t, filepath.Join(dir, "file"), unix.O_CREAT),
		"directory": open(t, dir, unix.O_RDONLY),
		"character": open(t, "/dev/null", unix.O_RDONLY),
		"fifo":      open(t, fifo, unix.O_RDWR),
		"link":      open(t, link, unix.O_PATH|unix.O_NOFOLLOW),
		"socket":    socket,
		"epoll":     epoll,
	}
	for name, fd := range fds {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			t.Fatal(err)
		}
		if got := run(t, coll.Programs["mode"], uint64(fd)); got != st.Mode {
			t.Errorf("%s: mode %o, want %o", name, got, st.Mode)
		}
		if got, want := run(t, coll.Programs["type"], uint64(fd)), st.Mode&unix.S_IFMT; got != want {
			t.Errorf("%s: type %o, want %o", name, got, want)
		}
	}
}

// layers are the folders of an overlay.
type layers struct{ lower, upper, merged string }

// overlay mounts an overlay whose layers are in memory; the error says why it cannot.
func overlay(t *testing.T, dir string) (layers, error) {
	t.Helper()
	mount(t, "tmpfs", dir, "tmpfs", 0, "")
	l := layers{mkdir(t, dir+"/lower"), mkdir(t, dir+"/upper"), mkdir(t, dir+"/merged")}
	for _, name := range []string{"same", "changed", "moved"} {
		if err := os.WriteFile(filepath.Join(l.lower, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	data := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", l.lower, l.upper, mkdir(t, dir+"/work"))
	return l, unix.Mount("overlay", l.merged, "overlay", 0, data)
}

const (
	onOverlay = 1
	inUpper   = 2
)

func TestOverlay(t *testing.T) {
	coll := load(t, parse(t, "filesystem"), nil)
	dir := t.TempDir()
	inMounts(t, func(t *testing.T) {
		l, err := overlay(t, dir)
		if errors.Is(err, unix.ENODEV) {
			skip(t, "needs overlays: %v", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		checkUpper := func(path string, want uint32, upper string) {
			t.Helper()
			fd := open(t, path, unix.O_RDONLY)
			got := run(t, coll.Programs["upper"], uint64(fd))
			if got != want {
				t.Errorf("%s: %b, want %b", path, got, want)
			}
			if got&inUpper != 0 {
				if at := shown(t, coll, len(upper)+1); at != upper {
					t.Errorf("%s: lies at %q, want %q", path, at, upper)
				}
			}
		}
		checkUpper(l.lower+"/same", 0, "")
		checkUpper(l.merged+"/same", onOverlay, "")
		checkUpper(l.merged+"/changed", onOverlay, "")
		checkUpper(l.merged, onOverlay|inUpper, "/upper")

		if err := os.WriteFile(l.merged+"/changed", []byte("y"), 0o600); err != nil {
			t.Fatal(err)
		}
		checkUpper(l.merged+"/changed", onOverlay|inUpper, "/upper/changed")
		if err := os.WriteFile(l.merged+"/new", []byte("y"), 0o600); err != nil {
			t.Fatal(err)
		}
		checkUpper(l.merged+"/new", onOverlay|inUpper, "/upper/new")
		if err := os.Rename(l.merged+"/moved", l.merged+"/there"); err != nil {
			t.Fatal(err)
		}
		checkUpper(l.merged+"/there", onOverlay|inUpper, "/upper/there")
		checkUpper(l.upper+"/new", 0, "")
		fd := open(t, l.merged+"/new", unix.O_RDONLY)
		checkPath(t, coll, fd, fdLink(t, fd))
	})
}
