// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/internal/builtin"
)

// gadgetHelp describes a gadget: what it shows, its flags, its fields.
func (a *app) gadgetHelp(cmd *cobra.Command, img *gadget.Image) error {
	host := builtin.NewHost()
	defer host.Close()
	fmt.Fprintf(a.Out, "%s: %s\n\nUsage:\n  %s\n\nFlags:\n%s%s", img.Metadata.Name, img.Metadata.Description,
		cmd.UseLine(), cmd.LocalFlags().FlagUsages(), cmd.InheritedFlags().FlagUsages())
	for i := range img.DataSources {
		d := &img.DataSources[i]
		s := d.Schema.Clone()
		if err := builtin.Compose(s, d.Annotations, &host.Env, nil); err != nil {
			return err
		}
		fmt.Fprintf(a.Out, "\nFields of data source %q (those in brackets appear only by name):\n", s.Name)
		if err := printFields(a.Out, s); err != nil {
			return err
		}
	}
	return nil
}

func printFields(w io.Writer, s *event.Schema) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Kind == event.Struct && f.Text == nil {
			continue
		}
		name := f.Name
		if f.Ann.Columns.Hidden {
			name = "[" + name + "]"
		}
		fmt.Fprintf(tw, "  %s\t%s\t%s\n", name, f.Kind, f.Ann.Description)
	}
	return tw.Flush()
}
