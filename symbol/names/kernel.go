// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package names

import (
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/internal/elffile"
	"github.com/gizmo-ebpf/gizmo/symbol"
)

const (
	kernelName = "[kernel]"
	bpfName    = "[bpf]"

	// The table is read again at most this often. If that gave no name, gizmo waits twice as long for the next time.
	minInterval = time.Second
	maxInterval = time.Minute
)

// ErrHidden is wrapped by the error about a kernel that does not tell this process where its functions are.
var ErrHidden = errors.New("the kernel hides the addresses of its functions")

// Kernel finds the functions of the kernel, its modules, and BPF programs. It reads them when it is first asked, and again when
// there may be others by then. It is safe for concurrent use.
type Kernel struct {
	mu      sync.Mutex
	system  system
	table   kallsyms
	kernel  *symbol.Module
	modules map[string]*symbol.Module
	named   map[uint64]*symbol.Function // by where they start

	next     time.Time // when the table may be read again
	wait     time.Duration
	err      error  // why there are no names
	loaded   uint64 // the modules that were loaded when the table was read
	spans    map[string]span
	programs func() (fresh bool)
}

// system is what Kernel asks; the tests have another.
type system struct {
	proc, sys string
	now       func() time.Time
	// nextProgram returns the id of the first BPF program after that one.
	nextProgram func(ebpf.ProgramID) (ebpf.ProgramID, error)
}

// NewKernel returns the kernel of this machine. It reads nothing yet.
func NewKernel() *Kernel {
	return newKernel(system{proc: "/proc", sys: "/sys", now: time.Now, nextProgram: ebpf.ProgramGetNextID})
}

func newKernel(s system) *Kernel {
	k := &Kernel{system: s, modules: make(map[string]*symbol.Module), named: make(map[uint64]*symbol.Function)}
	k.kernel = &symbol.Module{Name: kernelName, Kernel: true}
	if notes, err := os.ReadFile(filepath.Join(s.sys, "kernel/notes")); err == nil {
		k.kernel.BuildID = elffile.BuildIDIn(notes)
	}
	return k
}

// Load reads the table, if that was not done yet. A run calls it before its first event, so that the event need not wait. The error
// says why no function has a name.
func (k *Kernel) Load() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.load()
	return k.err
}

func (k *Kernel) load() {
	if k.next.IsZero() {
		k.read()
		k.pause(true)
	}
}

// Err returns why no function has a name, or nil.
func (k *Kernel) Err() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.err
}

// Lookup returns the module and the function at an address. The function is nil if it has no name; it may get one later. The
// module is never nil. Callers keep the answer: a look-up of a BPF program asks whether there are new ones.
func (k *Kernel) Lookup(addr uint64) (*symbol.Module, *symbol.Function) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.load()
	if i := k.find(addr); i >= 0 && k.sure(i) {
		return k.row(i)
	}
	// There is another function by now, or none.
	if k.system.now().Before(k.next) {
		return k.kernel, nil
	}
	k.read()
	i := k.find(addr)
	k.pause(i >= 0)
	if i < 0 {
		return k.kernel, nil
	}
	return k.row(i)
}

// pause decides when the table may be read again.
func (k *Kernel) pause(useful bool) {
	switch {
	case k.err != nil:
		k.wait = maxInterval
	case useful:
		k.wait = minInterval
	default:
		k.wait = min(2*k.wait, maxInterval)
	}
	k.next = k.system.now().Add(k.wait)
}

// find returns the row of the function at an address, or -1. What follows the last function of a module is not in it.
func (k *Kernel) find(addr uint64) int {
	i := k.table.find(addr)
	if i < 0 {
		return -1
	}
	if s, ok := k.spans[k.table.modules[k.table.rows[i].module]]; ok && !s.contains(addr) {
		return -1
	}
	return i
}

// sure reports whether nothing can have come to the place of a row since the table was read.
func (k *Kernel) sure(i int) bool {
	switch k.table.modules[k.table.rows[i].module] {
	case "":
		return true // the kernel itself stays
	case bpfName:
		return !k.programs()
	}
	loaded, _ := k.loadedModules()
	return k.loaded == loaded
}

func (k *Kernel) row(i int) (*symbol.Module, *symbol.Function) {
	r := k.table.rows[i]
	module := k.module(k.table.modules[r.module])
	name := k.table.name(r)
	if len(name) == 0 {
		return module, nil
	}
	fn := k.named[r.start]
	if fn == nil || fn.System != string(name) {
		fn = function(string(name))
		if len(k.named) >= maxNamed {
			clear(k.named)
		}
		k.named[r.start] = fn
	}
	return module, fn
}

func (k *Kernel) module(name string) *symbol.Module {
	if name == "" {
		return k.kernel
	}
	m := k.modules[name]
	if m == nil {
		m = &symbol.Module{Name: name, Kernel: true}
		base := filepath.Base(strings.Trim(name, "[]"))
		if notes, err := os.ReadFile(filepath.Join(k.system.sys, "module", base, "notes/.note.gnu.build-id")); err == nil {
			m.BuildID = elffile.BuildIDIn(notes)
		}
		k.modules[name] = m
	}
	return m
}

// read reads the table. What is loaded while it reads counts as new.
func (k *Kernel) read() {
	k.loaded, k.spans = k.loadedModules()
	k.programs = k.newPrograms()
	err := k.table.read(filepath.Join(k.system.proc, "kallsyms"))
	if errors.Is(err, ErrHidden) {
		err = fmt.Errorf("%w: %s", ErrHidden, k.why())
	}
	k.err = err
}

// why says why the kernel hides its addresses.
func (k *Kernel) why() string {
	b, err := os.ReadFile(filepath.Join(k.system.proc, "sys/kernel/kptr_restrict"))
	if err == nil && string(bytes.TrimSpace(b)) == "2" {
		return "kernel.kptr_restrict is 2, which hides them from all users; root can set it to 1"
	}
	return "this process lacks the capability CAP_SYSLOG"
}

// loadedModules returns a number that changes if modules come or go, and where the code of each is.
func (k *Kernel) loadedModules() (uint64, map[string]span) {
	text, err := os.ReadFile(filepath.Join(k.system.proc, "modules"))
	if err != nil {
		return 0, nil // a kernel without modules
	}
	spans := make(map[string]span)
	h := fnv.New64a()
	for line := range bytes.Lines(text) {
		// Name, size, users, dependents, state, address. The number of users changes all the time.
		f := bytes.Fields(line)
		if len(f) < 6 {
			continue
		}
		h.Write(f[0])
		h.Write(f[5])
		start, _, ok := hexNumber(bytes.TrimPrefix(f[5], []byte("0x")))
		size, err := strconv.ParseUint(string(f[1]), 10, 32)
		if ok && start != 0 && err == nil {
			// The size is that of all parts. The code comes first, and what follows cannot run.
			spans["["+string(f[0])+"]"] = span{start, start + size}
		}
	}
	return h.Sum64(), spans
}

// newPrograms returns a function that reports whether BPF programs were loaded since. Newer programs have higher ids; after two billion the
// ids begin again, and this misses those.
func (k *Kernel) newPrograms() func() bool {
	last := ebpf.ProgramID(0)
	for {
		id, err := k.system.nextProgram(last)
		if errors.Is(err, os.ErrNotExist) {
			break
		}
		if err != nil || id <= last {
			return func() bool { return true } // this process may not know
		}
		last = id
	}
	return func() bool {
		_, err := k.system.nextProgram(last)
		return !errors.Is(err, os.ErrNotExist)
	}
}
