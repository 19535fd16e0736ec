// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/gizmo-ebpf/gizmo/internal/cli/account"
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
	in, closeInput, err := stdio.OpenInput(ctx, a.In, path)
	if err != nil {
		return err
	}
	defer closeInput()
	options := a.options(flags)
	options.Text.Block = true
	if a.DropPrivileges { // before the first byte that somebody else may have written
		if out, ok := a.Out.(*os.File); ok {
			options.Text.W = outlet.Own(out)
		}
		a.dropPrivileges(seccomp.Needs{})
	}
	recording, err := wire.NewReader(in)
	if ctx.Err() != nil && errors.Is(err, os.ErrClosed) {
		return nil // the recording had not begun to come
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer recording.Close()
	r, err := run.Replay(recording, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	a.work.Store(&atWork{"replay " + path, r})
	if err := a.finish(r, r.Run(ctx), failOnLoss); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
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
