// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gizmo-ebpf/gizmo/test/vm/order"
)

const (
	// kernelArgs: messages go to a file, a kernel that is in trouble ends at once, BPF may be a security
	// module, and no time is spent on attacks that an emulated processor does not know.
	kernelArgs = "console=ttyS0 quiet loglevel=4 panic=-1 oops=panic mitigations=off lsm=landlock,lockdown,yama,bpf"
	// processor: the features of newer ones take a fifth more time to emulate.
	processor = "Nehalem"
	memory    = "2048" // MiB
	// processors is the number of processors of a virtual machine. They share one processor of this machine.
	processors  = "2"
	maxMachines = 4
	// bootTime is how long the guest may take to start its first program. A machine with nothing else
	// to do takes some seconds.
	bootTime = time.Minute
	// tick is how often the output is looked at.
	tick = 50 * time.Millisecond
	// shownLines is how much of the kernel's messages is shown when it went wrong.
	shownLines = 60
)

// emulation has one thread for all processors of a machine. With a thread for each, a processor can keep
// executing the translation of an instruction that another has replaced: qemu 7.2 hung
// in breakpoints below a tracepoint that the kernel had long removed.
const emulation = "tcg,thread=single"

// errNotStarted says that the guest has not come to life.
var errNotStarted = errors.New("the virtual machine has not started")

// machine is a virtual machine.
type machine struct {
	*lab
	dir    string // of its own
	output *os.File
	cmd    *exec.Cmd
	said   strings.Builder // by qemu
	begun  time.Time
}

// boot runs an order in virtual machines, in several if it has several programs. It writes their output
// to out meanwhile.
func (l *lab) boot(ctx context.Context, o *order.Order, out io.Writer) error {
	fmt.Fprintf(l.out, "# kernel %s\n", l.kernel.version)
	o.Modules, o.Env, o.Builds = l.kernel.modules, guestEnv(os.Environ()), l.builds
	if err := l.writeInitramfs(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, l.timeout, fmt.Errorf("a virtual machine is still running after %v", l.timeout))
	defer cancel()
	all := make([]*machine, min(runtime.NumCPU(), maxMachines, len(o.Programs)))
	errs := make([]error, len(all))
	for i := range all {
		all[i], errs[i] = l.start(ctx, o, fmt.Sprint("machine-", i))
	}
	output := func() io.WriteCloser { return atOnce{out} }
	if len(all) > 1 {
		output = (&turns{out: out}).writer
	}
	var wg sync.WaitGroup
	for i, m := range all {
		if errs[i] == nil {
			defer m.output.Close()
			wg.Go(func() { errs[i] = m.finish(ctx, output()) })
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (l *lab) writeInitramfs(ctx context.Context) error {
	modules, err := modulesFor(ctx, l.kernel)
	if err != nil {
		return err
	}
	guest, err := os.ReadFile(l.guest())
	if err != nil {
		return err
	}
	return os.WriteFile(l.initrd(), initramfs(guest, modules), 0o644)
}

func (l *lab) initrd() string      { return filepath.Join(l.dir, "initramfs") }
func (m *machine) answer() string  { return filepath.Join(m.dir, order.AnswerTag) }
func (m *machine) console() string { return filepath.Join(m.dir, "console") }

// passedOn are the environment variables that the guest's programs get: where they find
// others, what builds depend on, and how strict tests are.
var passedOn = []string{
	"PATH", "HOME", "LANG", "CI", "CLANG",
	"CPATH", "C_INCLUDE_PATH", "CCC_OVERRIDE_OPTIONS", "NIX_CFLAGS_COMPILE", "SOURCE_DATE_EPOCH",
}

func guestEnv(environ []string) []string {
	env := []string{"TERM=dumb"}
	for _, e := range environ {
		if name, _, _ := strings.Cut(e, "="); slices.Contains(passedOn, name) {
			env = append(env, e)
		}
	}
	return env
}

// start switches a virtual machine on. It ends with the calling thread.
func (l *lab) start(ctx context.Context, o *order.Order, name string) (*machine, error) {
	m := &machine{lab: l, dir: filepath.Join(l.dir, name), begun: time.Now()}
	if err := m.prepareAnswer(o); err != nil {
		return nil, err
	}
	m.cmd = m.qemu(ctx, o)
	m.cmd.Stdout, m.cmd.Stderr = &m.said, &m.said
	if err := m.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the virtual machine: %w", err), m.output.Close())
	}
	return m, nil
}

// prepareAnswer makes the folder in which the guest finds its order and leaves its answer.
func (m *machine) prepareAnswer(o *order.Order) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(m.answer(), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(m.answer(), order.File), text, 0o644); err != nil {
		return err
	}
	m.output, err = os.Create(filepath.Join(m.answer(), order.Output))
	return err
}

// finish passes on the output of the programs until the machine has switched itself off, and returns the
// result.
func (m *machine) finish(ctx context.Context, out io.WriteCloser) error {
	ended := make(chan error, 1)
	go func() { ended <- m.cmd.Wait() }()
	err := follow(m.output, out, ended, bootTime, func() { _ = m.cmd.Process.Kill() })
	err = errors.Join(err, out.Close())
	if cause := context.Cause(ctx); err != nil && cause != nil && cause != context.Canceled {
		err = cause
	}
	failed, err := m.judge(err)
	m.report(err != nil || m.verbose)
	return errors.Join(failed, err)
}

// report prints the cost of the machine, and with all set what else is known about it.
func (m *machine) report(all bool) {
	text := fmt.Sprintf("# the virtual machine ran for %.0f s and took %.0f s of the processors\n",
		time.Since(m.begun).Seconds(), (m.cmd.ProcessState.UserTime() + m.cmd.ProcessState.SystemTime()).Seconds())
	if all {
		text += "# the last messages of the kernel:\n" + m.said.String() + m.lastMessages()
	}
	_, _ = io.WriteString(m.out, text)
}

// judge distinguishes failures of tests from those of the virtual machine, which ended with the error ended.
func (m *machine) judge(ended error) (failed, err error) {
	if ended != nil {
		return nil, ended
	}
	verdict, err := os.ReadFile(filepath.Join(m.answer(), order.Result))
	switch {
	case err != nil:
		return nil, errors.New("the virtual machine has ended before the tests")
	case string(verdict) != order.Passed:
		return fmt.Errorf("tests on kernel %s failed", m.kernel.version), nil
	}
	return nil, nil
}

// follow passes on the guest's output until it ends. It ends the guest if that writes nothing for
// as long as a start may take.
func follow(output io.Reader, out io.Writer, ended <-chan error, start time.Duration, kill func()) error {
	started := false
	deadline := time.After(start)
	for ticks := time.NewTicker(tick); ; {
		select {
		case <-ticks.C:
			n, err := io.Copy(out, output)
			if err != nil {
				kill()
				<-ended
				return err
			}
			started = started || n > 0
		case <-deadline:
			if !started {
				kill()
				<-ended
				return errNotStarted
			}
		case err := <-ended:
			_, copyErr := io.Copy(out, output)
			return errors.Join(err, copyErr)
		}
	}
}

// qemu is the command for the virtual machine.
func (m *machine) qemu(ctx context.Context, o *order.Order) *exec.Cmd {
	args := []string{
		"-accel", m.accel, "-cpu", processor, "-m", memory, "-smp", processors,
		"-nodefaults", "-no-reboot", "-display", "none", "-nic", "none",
		"-kernel", m.kernel.image, "-initrd", m.initrd(), "-append", kernelArgs,
		"-serial", "file:" + m.console(),
	}
	share := func(tag, dir, more string) {
		args = append(args, "-virtfs", "local,mount_tag="+tag+",path="+strings.ReplaceAll(dir, ",", ",,")+
			",security_model=none,multidevs=remap"+more)
	}
	share(order.RootTag, "/", ",readonly=on")
	share(order.ProgramsTag, m.programs(), ",readonly=on")
	share(order.AnswerTag, m.answer(), "")
	share(order.QueueTag, m.queue(), "")
	for _, tag := range slices.Sorted(maps.Keys(o.Writable)) {
		share(tag, o.Writable[tag], "")
	}
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// lastMessages returns the last messages of the kernel and of the guest's first process.
func (m *machine) lastMessages() string {
	text, err := os.ReadFile(m.console())
	if err != nil {
		return err.Error() + "\n"
	}
	lines := slices.Collect(strings.Lines(string(text)))
	return strings.Join(lines[max(0, len(lines)-shownLines):], "")
}
