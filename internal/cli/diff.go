// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gizmo-ebpf/gizmo/internal/cli/account"
	"github.com/gizmo-ebpf/gizmo/internal/cli/flags"
	"github.com/gizmo-ebpf/gizmo/internal/outlet"
	"github.com/gizmo-ebpf/gizmo/run"
	"github.com/gizmo-ebpf/gizmo/sink/profile"
)

// diffFlags are the flags of diff.
type diffFlags struct {
	mode, source, file string
	filter, expr       string
	lines              bool
}

func (a *app) diffCommand() *cobra.Command {
	var f diffFlags
	cmd := &cobra.Command{
		Use:   "diff BEFORE AFTER",
		Short: "Compare the stacks of two recordings",
		Long: "Compares the stacks of the events of two recordings, which \"gizmo run --record FILE\" made, on any machine\n" +
			"and without privileges. One of them may be - for standard input. See docs/profiling.md.",
		Args: twoRecordings,
		RunE: func(cmd *cobra.Command, args []string) error { return a.diff(cmd.Context(), args[0], args[1], &f) },
	}
	fs := cmd.Flags()
	fs.StringVarP(&f.mode, "output", "o", "folded", "output mode: "+strings.Join(diffFormats(), ", "))
	fs.StringVar(&f.file, "output-file", "", "write the output to this file instead of standard output")
	fs.StringVar(&f.source, "datasource", "", "the data source to compare, if the recordings have several")
	fs.BoolVar(&f.lines, "lines", false, "show inlined calls, if the recordings have them")
	fs.StringVarP(&f.filter, "filter", "F", "", "compare only events for which all of these hold: FIELD==VALUE,...; also != > >= < <= ~ !~ (docs/filters.md)")
	fs.StringVarP(&f.expr, "filter-expr", "E", "", "compare only events for which this expression holds: proc.pid == 12 && fname startsWith \"/etc\"")
	fs.SortFlags = false
	return cmd
}

func twoRecordings(_ *cobra.Command, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("want two recordings, the one before and the one after, got %d arguments", len(args))
	}
	if args[0] == "-" && args[1] == "-" {
		return errors.New("only one of the recordings can be standard input")
	}
	return nil
}

// diffFormats are the names of the formats that can show what has changed.
func diffFormats() []string {
	var names []string
	for _, f := range profile.Formats() {
		if f.WriteDiff != nil {
			names = append(names, f.Name)
		}
	}
	return names
}

func (a *app) diff(ctx context.Context, before, after string, f *diffFlags) (err error) {
	format, _ := profile.Lookup(f.mode)
	if format.WriteDiff == nil {
		return fmt.Errorf("--output: there is no comparison as %q; there are %s", f.mode, strings.Join(diffFormats(), ", "))
	}
	options := a.diffOptions(f)
	var tapes [2]*opened
	for i, path := range []string{before, after} {
		if tapes[i], err = a.openRecording(ctx, path); err != nil {
			return err
		}
		defer tapes[i].close()
	}
	file, err := openOutput(ctx, f.file, &options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.end()) }()
	defer limitMemory()()
	a.dropForReplay(&options, file)
	var profiles [2]*profile.Profile
	for i, t := range tapes {
		if profiles[i], err = a.profileOf(ctx, t, options); err != nil || ctx.Err() != nil {
			return err
		}
	}
	d, err := profile.NewDiff(profiles[0], profiles[1])
	if err != nil {
		return err
	}
	if err := file.begin(); err != nil {
		return err
	}
	return writeSoon(ctx, options.Text.W, func(w io.Writer) error { return format.WriteDiff(w, d) })
}

// diffOptions returns the options for replaying either of the recordings.
func (a *app) diffOptions(f *diffFlags) run.Options {
	o := a.options(&eventFlags{modes: f.mode, lines: f.lines})
	o.Events.SortWindow = wholeRecording
	o.Events.Filters = flags.Given(map[string]*string{"": &f.filter})
	o.Events.Expressions = flags.Given(map[string]*string{"": &f.expr})
	if f.source != "" {
		o.Text.Modes = "none," + f.source + ":" + f.mode
	}
	return o
}

// profileOf replays a recording and returns the profile of its stacks. Both profiles are needed at once.
func (a *app) profileOf(ctx context.Context, t *opened, options run.Options) (p *profile.Profile, err error) {
	text := *options.Text
	text.Profile = func(made *profile.Profile) error { p = made; return nil }
	options.Text = &text
	err = t.play(ctx, options, func(r *run.Run) error {
		a.work.Store(&atWork{"diff " + t.path, r})
		err := r.Run(ctx)
		account.Ledger(a.Err, r.Ledger(), a.verbose)
		return err
	})
	return p, err
}

// writeSoon has do write to an output that may take nothing for long. When ctx is done, that is given up soon.
func writeSoon(ctx context.Context, w io.Writer, do func(io.Writer) error) error {
	if f, ok := w.(*os.File); ok {
		out := outlet.New(f, run.DefaultDrainTimeout)
		defer out.Close()
		defer context.AfterFunc(ctx, out.Hurry)()
		w = out
	}
	if err := do(w); err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	return nil
}
