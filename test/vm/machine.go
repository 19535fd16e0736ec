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
	"syscall"
	"time"

	"github.com/gizmo-ebpf/gizmo/test/vm/order"
)

const (
	// kernelArgs: messages go to a file, a kernel that is in trouble ends at once, BPF may be a security
	// module, and no time is spent on attacks that an emulated processor does not know.
	kernelArgs = "console=ttyS0 quiet loglevel=4 panic=-1 oops=panic mitigations=off lsm=landlock,lockdown,yama,bpf"
	// processor: what newer ones have in addition takes a fifth more time to emulate.
	processor = "Nehalem"
	memory    = "2048" // MiB
	maxCPUs   = 4
	// bootTime is how long the guest may take to start its first program. A machine with nothing else
	// to do takes some seconds.
	bootTime = time.Minute
	// tick is how often the output is looked at.
	tick = 50 * time.Millisecond
	// shownLines is how much of the kernel's messages is shown when it went wrong.
	shownLines = 60
)

// Ways to emulate processors. The quick one, with a thread for each, has been seen to stand still
// at the start.
const (
	accelThreads = "tcg,thread=multi"
	accelSingle  = "tcg,thread=single"
)

// errNotStarted says that the guest has not come to life.
var errNotStarted = errors.New("the virtual machine has not started")

// boot runs an order in the guest. What its programs write goes to out meanwhile.
func (l *lab) boot(ctx context.Context, o *order.Order, out io.Writer) error {
	fmt.Fprintf(l.out, "# kernel %s\n", l.kernel.version)
	o.Modules, o.Env, o.Builds = l.kernel.modules, guestEnv(os.Environ()), l.builds
	if err := l.writeFiles(ctx, o); err != nil {
		return err
	}
	accels := []string{accelThreads, accelSingle}
	if l.accel != "" {
		accels = []string{l.accel}
	}
	var err error
	for _, accel := range accels {
		err = l.bootWith(ctx, accel, o, out)
		if !errors.Is(err, errNotStarted) {
			return err
		}
		fmt.Fprintf(l.out, "# with %s: %v\n", accel, err)
	}
	return err
}

// writeFiles makes what the guest starts with.
func (l *lab) writeFiles(ctx context.Context, o *order.Order) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	modules, err := modulesFor(ctx, l.kernel)
	if err != nil {
		return err
	}
	guest, err := os.ReadFile(l.guest())
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(l.initrd(), initramfs(guest, modules), 0o644),
		os.WriteFile(filepath.Join(l.answer(), order.File), text, 0o644))
}

func (l *lab) initrd() string  { return filepath.Join(l.dir, "initramfs") }
func (l *lab) console() string { return filepath.Join(l.dir, "console") }

// passedOn are the variables of the environment that the guest's programs get: where they find
// others, what has a say in builds, and how strict tests are.
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

// bootWith is boot, with one way to emulate processors.
func (l *lab) bootWith(ctx context.Context, accel string, o *order.Order, out io.Writer) error {
	output, err := os.Create(filepath.Join(l.answer(), order.Output))
	if err != nil {
		return err
	}
	defer output.Close()
	ctx, cancel := context.WithTimeoutCause(ctx, l.timeout, fmt.Errorf("the virtual machine is still running after %v", l.timeout))
	defer cancel()
	var said strings.Builder
	cmd := l.qemu(ctx, accel, o)
	cmd.Stdout, cmd.Stderr = &said, &said
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the virtual machine: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	err = follow(output, out, ended, bootTime, cancel)
	if cause := context.Cause(ctx); err != nil && cause != nil && cause != context.Canceled {
		err = cause
	}
	fmt.Fprintf(l.out, "# the virtual machine ran for %.0f s and took %.0f s of the processors\n",
		time.Since(begun).Seconds(), (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds())
	failed, err := l.judge(err)
	if err != nil || l.verbose {
		fmt.Fprintf(l.out, "# the last messages of the kernel:\n%s%s", said.String(), l.lastMessages())
	}
	return errors.Join(failed, err)
}

// judge tells failures of tests from those of the virtual machine, whose end is given.
func (l *lab) judge(ended error) (failed, err error) {
	if ended != nil {
		return nil, ended
	}
	verdict, err := os.ReadFile(filepath.Join(l.answer(), order.Result))
	switch {
	case err != nil:
		return nil, errors.New("the virtual machine has ended before the tests")
	case string(verdict) != order.Passed:
		return fmt.Errorf("tests on kernel %s failed", l.kernel.version), nil
	}
	return nil, nil
}

// follow passes on what the guest writes until it ends, which it is made to if it writes nothing for
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

// qemu is the virtual machine. It ends with this process.
func (l *lab) qemu(ctx context.Context, accel string, o *order.Order) *exec.Cmd {
	args := []string{
		"-accel", accel, "-cpu", processor, "-m", memory, "-smp", fmt.Sprint(min(max(2, runtime.NumCPU()), maxCPUs)),
		"-nodefaults", "-no-reboot", "-display", "none", "-nic", "none",
		"-kernel", l.kernel.image, "-initrd", l.initrd(), "-append", kernelArgs,
		"-serial", "file:" + l.console(),
	}
	share := func(tag, dir, more string) {
		args = append(args, "-virtfs", "local,mount_tag="+tag+",path="+strings.ReplaceAll(dir, ",", ",,")+
			",security_model=none,multidevs=remap"+more)
	}
	share(order.RootTag, "/", ",readonly=on")
	share(order.ProgramsTag, l.programs(), ",readonly=on")
	share(order.AnswerTag, l.answer(), "")
	for _, tag := range slices.Sorted(maps.Keys(o.Writable)) {
		share(tag, o.Writable[tag], "")
	}
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// lastMessages is the end of what the kernel and the guest's first process said.
func (l *lab) lastMessages() string {
	text, err := os.ReadFile(l.console())
	if err != nil {
		return err.Error() + "\n"
	}
	lines := slices.Collect(strings.Lines(string(text)))
	return strings.Join(lines[max(0, len(lines)-shownLines):], "")
}
