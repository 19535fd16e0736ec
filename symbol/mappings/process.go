// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package mappings

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/procstat"
)

// Identity says which process an event is from, as struct gadget_user_stack does (include/gadget/types.h). The zero
// value matches each process.
type Identity struct {
	// Inode and the time of the last change are those of the executable. Its device is of no use: on overlay and on btrfs it is another than
	// that of the mappings.
	Inode        uint64
	ModifiedSec  uint64
	ModifiedNsec uint32
	// BaseAddrHash is the hash of where the code and the stack of the program begin, as gizmo's headers compute it. 0 if it is not
	// known, or computed in another way.
	BaseAddrHash uint32
}

// Process is a process that has code without a file: its runtime may write the names of that code to a file in the process's root.
type Process struct {
	// PID is the process in gizmo's PID namespace, NSPID in its own, which is the one that the process knows.
	PID, NSPID uint32
	// UID is the user as which the process opens files.
	UID uint32

	began int64
}

// errOther says that the process with a PID is not the one that had it.
var errOther = errors.New("the process has ended")

// OpenRoot returns the root folder of the process, for look-ups only (O_PATH), if the process still runs.
func (p *Process) OpenRoot() (*os.File, error) {
	path := procPath(p.PID, "root")
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	// The folder is that of this process if the process is there after it was opened.
	if now, err := readProof(p.PID); err != nil || now.began != p.began {
		unix.Close(fd)
		return nil, &os.PathError{Op: "open", Path: path, Err: errOther}
	}
	return os.NewFile(uintptr(fd), path), nil
}

func procPath(pid uint32, name string) string {
	return "/proc/" + strconv.FormatUint(uint64(pid), 10) + "/" + name
}

// readProcess describes a process that runs; nil if it does not.
func readProcess(pid uint32) *Process {
	before, err := readProof(pid)
	if err != nil {
		return nil
	}
	status, err := os.ReadFile(procPath(pid, "status"))
	if err != nil {
		return nil
	}
	if after, err := readProof(pid); err != nil || after.began != before.began {
		return nil
	}
	p := &Process{PID: pid, NSPID: pid, began: before.began}
	for line := range bytes.Lines(status) {
		name, values, _ := strings.Cut(string(line), ":")
		fields := strings.Fields(values)
		if name != "NSpid" && name != "Uid" || len(fields) == 0 {
			continue
		}
		// Both lines end with what matters: the innermost namespace, the user for files.
		v, err := strconv.ParseUint(fields[len(fields)-1], 10, 32)
		switch {
		case err != nil:
			return nil
		case name == "NSpid":
			p.NSPID = uint32(v)
		default:
			p.UID = uint32(v)
		}
	}
	return p
}

// introduce notes the process of an address space, unless it is a later one with the same PID.
func (s *space) introduce(p *Process) {
	if p != nil && uint64(p.began) <= max(s.began, s.checked) {
		s.self = p
	}
}

// proof tells processes and programs apart that had the same PID.
type proof struct {
	began int64  // when the process started, rounded down to 10 ms
	hash  uint32 // what Identity.BaseAddrHash would be; 0 if gizmo may not know
}

func readProof(pid uint32) (proof, error) {
	p, err := procstat.Read("/proc/" + strconv.FormatUint(uint64(pid), 10))
	if err != nil {
		return proof{}, err
	}
	return proof{p.Began, baseAddrHash(p.StartCode, p.StartStack)}, nil
}

// baseAddrHash computes what __gadget_base_addr_hash of include/gadget/user_stack_map.h does: FNV-1a of both numbers, the lowest bytes first.
func baseAddrHash(startCode, startStack uint64) uint32 {
	if startCode <= 1 || startStack <= 1 {
		return 0 // the kernel does not tell
	}
	hash := uint32(0x811c9dc5)
	for _, v := range [...]uint64{startCode, startStack} {
		for range 8 {
			hash = (hash ^ uint32(v&0xff)) * 0x01000193
			v >>= 8
		}
	}
	return hash
}

// fits says that the process can be the one of an event: it had started, and runs the same program.
func (p proof) fits(id *Identity, at uint64) bool {
	return uint64(p.began) <= at && (id == nil || id.BaseAddrHash == 0 || p.hash == 0 || id.BaseAddrHash == p.hash)
}

// runs says that the program whose executable an event names is mapped in this address space.
func (s *space) runs(id *Identity) bool {
	if id == nil || *id == (Identity{}) {
		return true
	}
	if s.proof.hash != 0 && id.BaseAddrHash != 0 {
		return s.proof.hash == id.BaseAddrHash
	}
	if id.Inode == 0 || len(s.maps.list) == 0 {
		return true
	}
	for i := range s.maps.list {
		if s.maps.list[i].isOf(id) {
			return true
		}
	}
	for i := range s.gone {
		if s.gone[i].isOf(id) {
			return true
		}
	}
	return false
}

// isOf says that an event's executable is the file of the mapping. Overlay can put a number of its own into the highest bits of the inode, and
// names another inode for a file that was copied up; then the time of the last change tells.
func (m *mapping) isOf(id *Identity) bool {
	if m.kind != InFile {
		return false
	}
	const low = 1<<48 - 1
	if m.file.name.inode&low == id.Inode&low {
		return true
	}
	f := m.file.current.Load()
	return f.opened && id.ModifiedSec != 0 && uint64(f.id.ModifiedSec) == id.ModifiedSec && f.id.ModifiedNsec == int64(id.ModifiedNsec)
}

// othersRun says that a process has threads beside the first.
func othersRun(pid uint32) bool {
	dir, err := os.Open(procPath(pid, "task"))
	if err != nil {
		return false
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(2)
	return len(names) > 1
}

// processes returns the IDs of all processes.
func processes() ([]uint32, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("read /proc: %w", err)
	}
	var pids []uint32
	for _, name := range names {
		if pid, err := strconv.ParseUint(name, 10, 32); err == nil && pid > 0 {
			pids = append(pids, uint32(pid))
		}
	}
	return pids, nil
}

// always is a time after all others.
const always = uint64(math.MaxUint64)

// slack is how long a CPU may take from the time of a record until the record is in its ring: an interrupt may come between, or the hypervisor.
const slack = uint64(5 * time.Millisecond)
