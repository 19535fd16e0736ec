// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/gizmo-ebpf/gizmo/internal/cli/account"
	"github.com/gizmo-ebpf/gizmo/internal/cli/heap"
	"github.com/gizmo-ebpf/gizmo/internal/cli/stdio"
	"github.com/gizmo-ebpf/gizmo/internal/outlet"
	"github.com/gizmo-ebpf/gizmo/internal/seccomp"
	"github.com/gizmo-ebpf/gizmo/run"
	"github.com/gizmo-ebpf/gizmo/wire"
)

func (a *app) replayCommand() *cobra.Command {
	var flags eventFlags
	var failOnLoss bool
	cmd := &cobra.Command{
		Use:   "replay FILE",
		Short: "Write the events of a recording",
		Long: "Writes the events that \"gizmo run --record FILE\" recorded, on any machine and without privileges.\n" +
			"FILE may be - for standard input.",
		Args: oneArg("recording"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.replay(cmd.Context(), args[0], &flags, failOnLoss)
		},
	}
	flags.register(cmd.Flags(), wholeRecording)
	cmd.Flags().BoolVar(&failOnLoss, "fail-on-loss", false, fmt.Sprintf("exit with code %d if the recording counts lost events", exitLost))
	return cmd
}

func (a *app) replay(ctx context.Context, path string, flags *eventFlags, failOnLoss bool) (err error) {
	t, err := a.openRecording(ctx, path)
	if err != nil {
		return err
	}
	defer t.close()
	options := a.options(flags)
	options.Text.Block = true
	file, err := openOutput(ctx, flags.file, &options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.end()) }()
	options.OnAttached = file.begin
	options.Events.SortMemory = sortMemory
	defer limitMemory()()
	a.dropForReplay(&options, file)
	return t.play(ctx, options, func(r *run.Run) error {
		a.work.Store(&atWork{"replay " + path, r})
		return a.finish(r, r.Run(ctx), failOnLoss)
	})
}

// opened is a recording that can be read.
type opened struct {
	path     string
	in       io.Reader
	closeIn  func()
	tempFile func() (*os.File, error)
	temp     *os.File // nil: none was made yet
}

// openRecording opens a recording, and what reading it needs, so that gizmo may give up its privileges afterwards.
func (a *app) openRecording(ctx context.Context, path string) (*opened, error) {
	in, closeInput, err := stdio.OpenInput(ctx, a.In, path)
	if err != nil {
		return nil, err
	}
	t := &opened{path: path, in: in, closeIn: closeInput, tempFile: wire.TempFile}
	if a.DropPrivileges && !canReadTwice(in) {
		f, err := wire.TempFile() // later it cannot be made any more
		t.temp, t.tempFile = f, func() (*os.File, error) { return f, err }
	}
	return t, nil
}

func (t *opened) close() {
	t.closeIn()
	if t.temp != nil {
		t.temp.Close()
	}
}

// dropForReplay gives up privileges before the first byte that somebody else may have written.
func (a *app) dropForReplay(options *run.Options, file *outputFile) {
	if !a.DropPrivileges {
		return
	}
	if out, ok := a.Out.(*os.File); ok && file == nil {
		options.Text.W = outlet.Own(out)
	}
	a.dropPrivileges(seccomp.Needs{})
}

// play makes a run of the recording and has do run it. Errors name the recording.
func (t *opened) play(ctx context.Context, options run.Options, do func(*run.Run) error) (err error) {
	recording, err := wire.NewReader(t.in)
	if ctx.Err() != nil && errors.Is(err, os.ErrClosed) {
		return nil // the recording had not begun to come
	}
	if err != nil {
		return fmt.Errorf("%s: %w", t.path, err)
	}
	defer recording.Close()
	recording.SetTempFile(t.tempFile)
	r, err := run.Replay(recording, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := do(r); err != nil {
		return fmt.Errorf("%s: %w", t.path, err)
	}
	return nil
}

// The memory of a replay, which stays below 68 MiB in all: TestReplayInLittleMemory.
const (
	// replayMemory is how much Go uses before it collects garbage all the time.
	replayMemory = 40 << 20
	// sortMemory is how much the events may take up that are held to be sorted.
	sortMemory = 16 << 20
)

// limitMemory makes Go collect garbage in time, unless the user has set a lower limit (GOMEMLIMIT), and gives up what only the start of the program has used.
func limitMemory() (undo func()) {
	heap.ReleaseCode()
	before := debug.SetMemoryLimit(-1)
	debug.SetMemoryLimit(min(before, replayMemory))
	return func() { debug.SetMemoryLimit(before) }
}

// canReadTwice reports whether the input can seek, as a file can and a pipe cannot.
func canReadTwice(in io.Reader) bool {
	s, ok := in.(io.Seeker)
	if !ok {
		return false
	}
	_, err := s.Seek(0, io.SeekCurrent)
	return err == nil
}

// finish prints the account of a run that has ended, and returns the run's error.
func (a *app) finish(r *run.Run, err error, failOnLoss bool) error {
	if run.IsReaderGone(err) {
		return err // events that it did not take are not reported as lost
	}
	account.Ledger(a.Err, r.Ledger(), a.verbose)
	account.Containers(a.Err, r.ContainerLosses())
	if err == nil && failOnLoss && r.Ledger().Lost() > 0 {
		return errLost
	}
	return err
}
