// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package mappings

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// openMapped opens the file that is mapped, if that is still possible. It tries the mapping itself, then the path as the process sees it, as gizmo
// sees it, and as the ancestors of the process do, which often share its files; last another file with this inode that gizmo has open.
func (fs *files) openMapped(f *file, w way) (*os.File, error) {
	check := func(fd int, err error) (*os.File, error) {
		if err != nil {
			return nil, err
		}
		defer unix.Close(fd)
		return openChecked(fd, f, w)
	}
	h, first := check(openPath(unix.AT_FDCWD, fmt.Sprintf("/proc/%d/map_files/%x-%x", w.pid, w.lo, w.hi)))
	if first == nil {
		return h, nil
	}
	if strings.HasPrefix(f.name.path, "/") && !strings.HasPrefix(f.name.path, "//") {
		for _, root := range fs.roots(w.pid) {
			if h, err := check(openIn(root, f.name.path)); err == nil {
				return h, nil
			}
		}
	}
	if other := fs.sameInode(f, w); other != nil {
		defer other.Close()
		if h, err := check(openPath(unix.AT_FDCWD, descriptor(int(other.Fd())))); err == nil {
			return h, nil
		}
	}
	return nil, first
}

// roots returns the folders in which the process with this PID may have seen its files.
func (fs *files) roots(pid uint32) []string {
	roots := []string{fmt.Sprintf("/proc/%d/root", pid), "/"}
	for _, parent := range fs.parents(pid, nil) {
		roots = append(roots, fmt.Sprintf("/proc/%d/root", parent))
	}
	return roots
}

// sameInode returns a copy of the handle of an open file with the same inode, such as another name of it.
func (fs *files) sameInode(f *file, w way) *os.File {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for other := range fs.open {
		if other.name.fileKey == f.name.fileKey && (other.generation == w.generation || other.generation == 0 || w.generation == 0) {
			if fd, err := unix.FcntlInt(other.handle.Fd(), unix.F_DUPFD_CLOEXEC, 0); err == nil {
				return os.NewFile(uintptr(fd), f.name.path)
			}
		}
	}
	return nil
}

// openPath opens a path without opening what is there, which could have an effect on a device.
func openPath(folder int, path string) (int, error) {
	return unix.Openat(folder, path, unix.O_PATH|unix.O_CLOEXEC, 0)
}

// openIn does the same for a path below a root. A symbolic link may lead out of it: whether the file is the right one is checked in any case. gizmo
// forbids itself openat2(2), which could prevent that.
func openIn(root, path string) (int, error) {
	dir, err := openPath(unix.AT_FDCWD, root)
	if err != nil {
		return -1, err
	}
	defer unix.Close(dir)
	return openPath(dir, strings.TrimLeft(path, "/"))
}

// descriptor is the path of an open file of this process.
func descriptor(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

var (
	errNotRegular = errors.New("it is not a regular file")
	errAnother    = errors.New("another file has its place")
)

// openChecked opens what an O_PATH descriptor refers to, if that is the file of the mapping.
func openChecked(fd int, f *file, w way) (*os.File, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, errNotRegular
	}
	// O_NONBLOCK: the file may have a lease, whose owner could let gizmo wait.
	real, err := unix.Open(descriptor(fd), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	if err := checkSame(real, f, w); err != nil {
		unix.Close(real)
		return nil, err
	}
	return os.NewFile(uintptr(real), f.name.path), nil
}

// checkSame makes sure that an open file is the one of the mapping.
func checkSame(fd int, f *file, w way) error {
	key, err := keyOf(fd)
	if err != nil {
		return err
	}
	if key != f.name.fileKey {
		return errAnother
	}
	if g, ok := generationOf(fd); ok && w.generation != 0 && uint32(w.generation) != g {
		return errAnother
	}
	// The inode may have been used again, if no generation says so.
	if w.at == 0 {
		return nil
	}
	var x unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_BTIME, &x); err != nil || x.Mask&unix.STATX_BTIME == 0 {
		return nil // the file system does not tell
	}
	if time.Unix(x.Btime.Sec, int64(x.Btime.Nsec)).After(wallTime(w.at)) {
		return errAnother
	}
	return nil
}

// wallTime returns what the clock would have shown at a time since boot if it had not been set since.
func wallTime(at uint64) time.Time {
	return time.Now().Add(-time.Duration(bootTime() - at))
}

// bootTime returns the time since boot in nanoseconds, by the clock of bpf_ktime_get_boot_ns.
func bootTime() uint64 { return clockTime(unix.CLOCK_BOOTTIME) }

// sleptTime returns how long the machine has slept since boot: at most a millisecond more, or less if this thread did not
// get to run between both clocks ten times.
func sleptTime() (least time.Duration) {
	for range 10 {
		before := clockTime(unix.CLOCK_MONOTONIC)
		boot := bootTime()
		after := clockTime(unix.CLOCK_MONOTONIC)
		if after-before < uint64(time.Millisecond) {
			return time.Duration(boot - before)
		}
		least = max(least, time.Duration(boot-min(boot, after)))
	}
	return least
}

func clockTime(clock int32) uint64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		panic(err) // no kernel that gizmo runs on lacks these clocks
	}
	return uint64(ts.Nano())
}

// keyOf returns the device and inode that the kernel shows for mappings of the file. On some file systems stat shows others; so gizmo maps
// the file itself, and looks.
func keyOf(fd int) (fileKey, error) {
	page, err := unix.Mmap(fd, 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return fileKey{}, err
	}
	defer unix.Munmap(page)
	lo := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(page))))
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return fileKey{}, err
	}
	defer maps.Close()
	var r rawRecord
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		if parseMapsLine(lines.Bytes(), 'r', &r) && r.lo == lo {
			return r.file, nil
		}
	}
	return fileKey{}, errAnother
}

// generationOf returns the generation of the inode, if the file system tells: ext4, XFS, btrfs and F2FS do.
func generationOf(fd int) (uint32, bool) {
	const getVersion = 2<<30 | unsafe.Sizeof(uintptr(0))<<16 | 'v'<<8 | 1 // FS_IOC_GETVERSION: _IOR('v', 1, long)
	var v [8]byte                                                         // the kernel writes 4 of them
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), getVersion, uintptr(unsafe.Pointer(&v)))
	return *(*uint32)(unsafe.Pointer(&v)), errno == syscall.Errno(0)
}
