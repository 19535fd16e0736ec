// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package names

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/procstat"
	"github.com/gizmo-ebpf/gizmo/symbol"
)

const (
	maxPerfMap   = 64 << 20 // bytes
	perfInterval = time.Second
)

// ErrIgnored is wrapped by the errors about a map that gizmo does not use.
var ErrIgnored = errors.New("ignored")

// PerfMap has the functions that one process makes while it runs, as far as it lists them in a file perf-PID.map. It is safe for
// concurrent use.
type PerfMap struct {
	files *Files
	dir   string // the process's folder in /proc
	began int64  // so that another process with its id is not taken for it
	name  string // of the file, from the process's root
	owner uint32
	now   func() time.Time

	resident
	file   *os.File // nil until there is one
	ranges perfRanges
	named  map[uint32]*symbol.Function // by the place of the name
	next   time.Time                   // when to look again
	err    error
}

// OpenPerfMap prepares to read the map of the process whose folder in /proc this is. Programs begin their maps at any time, so it is no
// error if there is none yet.
func (f *Files) OpenPerfMap(dir string) (*PerfMap, error) {
	return f.openPerfMap(dir, time.Now)
}

func (f *Files) openPerfMap(dir string, now func() time.Time) (*PerfMap, error) {
	p, err := procstat.Read(dir)
	if err != nil {
		return nil, err
	}
	status, err := os.ReadFile(path.Join(dir, "status"))
	if err != nil {
		return nil, err
	}
	m := &PerfMap{files: f, dir: dir, began: p.Began, now: now, named: make(map[uint32]*symbol.Function)}
	pid := -1
	for line := range strings.Lines(string(status)) {
		key, rest, _ := strings.Cut(line, ":")
		fields := strings.Fields(rest)
		switch {
		case key == "NSpid" && len(fields) > 0: // the last is that of the innermost namespace, which the process knows
			pid, err = strconv.Atoi(fields[len(fields)-1])
		case key == "Uid" && len(fields) > 1: // the effective one
			var uid uint64
			uid, err = strconv.ParseUint(fields[1], 10, 32)
			m.owner = uint32(uid)
		}
		if err != nil {
			return nil, fmt.Errorf("%s/status: %w", dir, err)
		}
	}
	if pid < 0 {
		return nil, fmt.Errorf("%s/status: it names no process", dir)
	}
	m.name = fmt.Sprintf("tmp/perf-%d.map", pid)
	m.files.mu.Lock()
	defer m.files.mu.Unlock()
	m.refresh() // the process may end soon
	return m, nil
}

// Close forgets the map.
func (m *PerfMap) Close() error {
	m.files.mu.Lock()
	defer m.files.mu.Unlock()
	m.files.remove(&m.resident)
	if m.file == nil {
		return nil
	}
	err := m.file.Close()
	m.file = nil
	return err
}

// Err returns why the map is not used, or nil; it wraps ErrIgnored or [os.ErrNotExist].
func (m *PerfMap) Err() error {
	m.files.mu.Lock()
	defer m.files.mu.Unlock()
	return m.err
}

// Lookup returns the function at an address in the process's memory, or nil. First it reads what is new in the map, at most once a second:
// programs put new code in the place of old code.
func (m *PerfMap) Lookup(addr uint64) *symbol.Function {
	m.files.mu.Lock()
	defer m.files.mu.Unlock()
	if !m.now().Before(m.next) {
		m.refresh()
	}
	return m.find(addr)
}

func (m *PerfMap) find(addr uint64) *symbol.Function {
	at, ok := m.ranges.find(addr)
	if !ok {
		return nil
	}
	m.files.use(&m.resident)
	if fn, ok := m.named[at]; ok {
		return fn
	}
	name := m.nameAt(at)
	if name == "" {
		return nil
	}
	fn := &symbol.Function{Name: name, System: name}
	if len(m.named) >= maxNamed {
		clear(m.named)
	}
	m.named[at] = fn
	return fn
}

func (m *PerfMap) nameAt(at uint32) string {
	if m.file == nil {
		return ""
	}
	b := make([]byte, maxPerfLine)
	n, err := m.file.ReadAt(b, int64(at))
	if err != nil && !errors.Is(err, io.EOF) {
		return ""
	}
	name, _, whole := strings.Cut(string(b[:n]), "\n")
	if !whole {
		return ""
	}
	return strings.TrimSuffix(name, "\r")
}

// refresh looks for the file, and reads what is new in it.
func (m *PerfMap) refresh() {
	m.next = m.now().Add(perfInterval)
	m.err = m.reopen()
	if m.err == nil {
		m.err = m.read()
	}
	if m.err != nil && m.file != nil && errors.Is(m.err, ErrIgnored) {
		m.forget()
	}
}

// forget drops what was read.
func (m *PerfMap) forget() {
	m.files.remove(&m.resident)
	m.ranges = perfRanges{}
	clear(m.named)
}

// read reads the lines that are new.
func (m *PerfMap) read() error {
	st, err := m.file.Stat()
	switch {
	case err != nil:
		return err
	case st.Size() > maxPerfMap:
		return fmt.Errorf("%s: %w: it has %d bytes, more than the %d that gizmo reads", m.name, ErrIgnored, st.Size(), maxPerfMap)
	case st.Size() < m.ranges.read: // it begins again
		m.forget()
	case st.Size() == m.ranges.read:
		return nil
	}
	m.files.remove(&m.resident)
	if err := m.ranges.parse(io.NewSectionReader(m.file, m.ranges.read, st.Size()-m.ranges.read)); err != nil {
		return fmt.Errorf("%s: %w", m.name, err)
	}
	m.bytes = m.ranges.bytes()
	m.release = func() {
		m.ranges = perfRanges{}
		clear(m.named)
		m.next = time.Time{} // the next look-up reads it again
	}
	m.files.admit(&m.resident)
	return nil
}

// reopen opens the file that has the name now, if it is another one than before. If the process has ended, the file that is open is
// the last.
func (m *PerfMap) reopen() error {
	file, err := m.open()
	if err != nil {
		if m.file != nil && !errors.Is(err, ErrIgnored) {
			return nil
		}
		return err
	}
	if m.file != nil {
		if sameFile(m.file, file) {
			return file.Close()
		}
		m.forget()
		m.file.Close()
	}
	m.file = file
	return nil
}

func sameFile(a, b *os.File) bool {
	x, err := a.Stat()
	if err != nil {
		return false
	}
	y, err := b.Stat()
	return err == nil && os.SameFile(x, y)
}

// open opens the file by its name in the root of the process. Whoever may write to that folder may put anything there, so this first
// finds out what it is, without opening it: to open a pipe or a device can have effects.
func (m *PerfMap) open() (*os.File, error) {
	root, err := unix.Open(path.Join(m.dir, "root"), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path.Join(m.dir, "root"), Err: err}
	}
	defer unix.Close(root)
	if p, err := procstat.Read(m.dir); err != nil || p.Began != m.began {
		return nil, fmt.Errorf("%s: %w", m.dir, unix.ESRCH)
	}
	fd, err := unix.Openat2(root, m.name, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: m.name, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, &os.PathError{Op: "stat", Path: m.name, Err: err}
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil, fmt.Errorf("%s: %w: it is not a regular file", m.name, ErrIgnored)
	case st.Uid != m.owner:
		return nil, fmt.Errorf("%s: %w: it belongs to the user %d, the process runs as %d", m.name, ErrIgnored, st.Uid, m.owner)
	}
	return os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", fd), os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
}
