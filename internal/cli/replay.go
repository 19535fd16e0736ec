// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/semtype"
	"github.com/gizmo-ebpf/gizmo/semtype/userdb"
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
	cmd.Flags().BoolVar(&failOnLoss, "fail-on-loss", false, fmt.Sprintf("exit with code %d if the recording tells of lost events", exitLost))
	return cmd
}

func (a *app) replay(ctx context.Context, path string, flags *eventFlags, failOnLoss bool) error {
	in := a.In
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		in = file
	}
	r, err := wire.NewReader(in)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer r.Close()
	s := &session{app: a, flags: flags, failOnLoss: failOnLoss, sources: []pipeline.Source{r}}
	if s.specs, err = recordedSpecs(r.Header()); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	machine := &r.Header().Machine
	env := semtype.Env{
		Arch: machine.Arch, BootOffset: r.BootOffset,
		Users: userdb.Table(machine.Users), Groups: userdb.Table(machine.Groups),
	}
	if err := s.bind(&env); err != nil {
		return err
	}
	if err := s.run(ctx); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// recordedSpecs returns the annotations that the recording was made with, by data source.
func recordedSpecs(h *wire.Header) (map[string]*annotation.Spec, error) {
	specs := make(map[string]*annotation.Spec)
	for _, d := range h.DataSources {
		spec := &annotation.Spec{}
		if len(d.Annotations) > 0 {
			if err := json.Unmarshal(d.Annotations, spec); err != nil {
				return nil, fmt.Errorf("annotations of data source %q: %w", d.Schema.Name, err)
			}
		}
		specs[d.Schema.Name] = spec
	}
	return specs, nil
}
