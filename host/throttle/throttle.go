// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package throttle reads how the kernel holds up control groups that have a limit of processor time (cpu.max).
package throttle

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/dents"
)

// Group is a control group with a limit.
type Group struct {
	// Path is where the group is in its hierarchy: "/system.slice/nginx.service".
	Path string
	// ID distinguishes groups that have the same path one after the other.
	ID uint64
	// Periods are those that had something to do, since the group exists, and Throttled those in which it had to wait.
	Periods, Throttled uint64
	// ThrottledTime is how long its processors waited in all.
	ThrottledTime time.Duration
	// Quota is the processor time that the group may use in each Period.
	Quota, Period time.Duration
}

// Pressure is how much of the time some tasks of a group waited for a processor, in percent.
type Pressure struct{ Some10, Some60 float64 }

// hierarchy says where groups are, and what their files are called.
type hierarchy struct {
	root string
	// limits reads the quota and the period of the group in a folder; the quota is 0 if there is no limit.
	limits func(r *Reader, folder int) (quota, period time.Duration, err error)
	// throttled is the key of the time in cpu.stat, and unit its unit.
	throttled string
	unit      time.Duration
	// sparse: a group without these files has no groups below that have them.
	sparse bool
}

// Reader reads control groups. Only one goroutine at a time may use it.
type Reader struct {
	hierarchy
	entries []byte
	text    []byte
}

// ErrNoLimits says that this machine has no limits of processor time for control groups.
var ErrNoLimits = errors.New("the kernel, or the place where gizmo runs, has no control groups with limits of processor time")

// mountPoint is where the hierarchies of control groups are mounted.
const mountPoint = "/sys/fs/cgroup"

// Open finds the hierarchy that has limits: the one of version 2 or, where that lacks the controller for processor time, that of version 1.
func Open() (*Reader, error) { return openIn(mountPoint) }

func openIn(mountPoint string) (*Reader, error) {
	r := &Reader{entries: make([]byte, 16<<10), text: make([]byte, 4096)}
	controllers, err := os.ReadFile(mountPoint + "/cgroup.controllers")
	if err == nil && slices.Contains(strings.Fields(string(controllers)), "cpu") {
		r.hierarchy = hierarchy{root: mountPoint, limits: (*Reader).limitsV2, throttled: "throttled_usec", unit: time.Microsecond, sparse: true}
		return r, nil
	}
	r.hierarchy = hierarchy{root: mountPoint + "/cpu", limits: (*Reader).limitsV1, throttled: "throttled_time", unit: time.Nanosecond}
	if _, err := os.Stat(r.root + "/cpu.stat"); err == nil {
		return r, nil
	}
	return nil, fmt.Errorf("%w: %s/cgroup.controllers does not name \"cpu\" (version 2), and there is no %s/cpu.stat (version 1)", ErrNoLimits, mountPoint, r.root)
}

// HasPressure reports whether groups may have a Pressure, which those of version 1 have not.
func (r *Reader) HasPressure() bool { return r.sparse }

// Read appends all groups with a limit to list. It leaves out those that go away meanwhile.
func (r *Reader) Read(list []Group) ([]Group, error) {
	fd, err := unix.Open(r.root, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return list, &fs.PathError{Op: "open", Path: r.root, Err: err}
	}
	defer unix.Close(fd)
	return r.walk(list, fd, "")
}

// walk reads the group in an open folder and those below.
func (r *Reader) walk(list []Group, folder int, path string) ([]Group, error) {
	quota, period, err := r.limits(r, folder)
	if err != nil && path != "" && r.sparse {
		return list, nil
	}
	if err == nil && quota > 0 {
		g := Group{Path: path, Quota: quota, Period: period}
		if r.stat(&g, folder) {
			list = append(list, g)
		}
	}
	var below []string
	err = dents.Each(folder, r.entries, func(name []byte, typ uint8) bool {
		if typ == dents.Folder && string(name) != "." && string(name) != ".." {
			below = append(below, string(name))
		}
		return true
	})
	if err != nil {
		if path == "" {
			return list, fmt.Errorf("list the control groups: %w", err)
		}
		return list, nil // it has gone
	}
	for _, name := range below {
		fd, err := unix.Openat(folder, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		list, err = r.walk(list, fd, path+"/"+name)
		_ = unix.Close(fd)
		if err != nil {
			return list, err
		}
	}
	return list, nil
}

// readFile reads a file of the group in an open folder.
func (r *Reader) readFile(folder int, name string) ([]byte, error) {
	fd, err := unix.Openat(folder, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, r.text)
	if err != nil {
		return nil, err
	}
	return r.text[:n], nil
}

// limitsV2 reads a file like "20000 100000" or "max 100000".
func (r *Reader) limitsV2(folder int) (quota, period time.Duration, err error) {
	text, err := r.readFile(folder, "cpu.max")
	if err != nil {
		return 0, 0, err
	}
	first, second, _ := bytes.Cut(text, []byte(" "))
	return microseconds(first), microseconds(second), nil
}

// limitsV1 reads a file for each; the quota is -1 if there is no limit.
func (r *Reader) limitsV1(folder int) (quota, period time.Duration, err error) {
	text, err := r.readFile(folder, "cpu.cfs_quota_us")
	if err != nil {
		return 0, 0, err
	}
	if quota = microseconds(text); quota == 0 {
		return 0, 0, nil
	}
	text, err = r.readFile(folder, "cpu.cfs_period_us")
	return quota, microseconds(text), err
}

// microseconds reads a number of microseconds; 0 if it is none, or less than 0.
func microseconds(text []byte) time.Duration {
	n, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
	if err != nil || n < 0 || n > int64(1<<63-1)/int64(time.Microsecond) {
		return 0
	}
	return time.Duration(n) * time.Microsecond
}

// stat reads the counters of a group.
func (r *Reader) stat(g *Group, folder int) bool {
	var st unix.Stat_t
	text, err := r.readFile(folder, "cpu.stat")
	if err != nil || unix.Fstat(folder, &st) != nil {
		return false
	}
	g.ID = st.Ino
	for line := range bytes.Lines(text) {
		key, value, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
		n, err := strconv.ParseUint(string(value), 10, 64)
		if err != nil {
			continue
		}
		switch string(key) {
		case "nr_periods":
			g.Periods = n
		case "nr_throttled":
			g.Throttled = n
		case r.throttled:
			g.ThrottledTime = time.Duration(n) * r.unit
		}
	}
	return true
}

// Pressure reads the pressure of a group; 0 if the kernel does not say it.
func (r *Reader) Pressure(g *Group) (p Pressure) {
	if !r.HasPressure() {
		return p
	}
	text, err := r.readFile(unix.AT_FDCWD, filepath.Join(r.root, g.Path, "cpu.pressure"))
	if err != nil {
		return p
	}
	some, _, _ := bytes.Cut(text, []byte("\n")) // some avg10=0.00 avg60=0.00 avg300=0.00 total=0
	for _, field := range bytes.Fields(some) {
		key, value, _ := bytes.Cut(field, []byte("="))
		v, err := strconv.ParseFloat(string(value), 64)
		if err != nil {
			continue
		}
		switch string(key) {
		case "avg10":
			p.Some10 = v
		case "avg60":
			p.Some60 = v
		}
	}
	return p
}

// mostTries limits how many processes of a group are looked at, if this process may not see them or they end.
const mostTries = 16

// MountNS returns the inode of the mount namespace of a process of the group, or of one below; 0 if it has none, or this process may not
// see it.
func (r *Reader) MountNS(g *Group) (inode uint64) {
	_ = filepath.WalkDir(filepath.Join(r.root, g.Path), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil
		}
		text, err := r.readFile(unix.AT_FDCWD, path+"/cgroup.procs")
		if err != nil {
			return nil
		}
		tries := 0
		for id := range bytes.FieldsSeq(text) {
			if tries++; tries > mostTries {
				break
			}
			var st unix.Stat_t
			if unix.Stat("/proc/"+string(id)+"/ns/mnt", &st) == nil {
				inode = st.Ino
				return fs.SkipAll
			}
		}
		return nil
	})
	return inode
}
