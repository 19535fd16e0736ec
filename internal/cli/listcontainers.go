// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gizmo-ebpf/gizmo/internal/cli/containers"
)

func (a *app) listContainersCommand() *cobra.Command {
	var f containers.Flags
	var list containers.ListFlags
	cmd := &cobra.Command{
		Use:   "list-containers",
		Short: "List the containers that gizmo finds",
		Long: "Lists the running containers of this machine as gizmo knows them: what \"gizmo run\" can select, and what\n" +
			"its events show. With --watch it continues, and shows each container that starts or ends.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.listContainers(cmd.Context(), &f, &list) },
	}
	list.Register(cmd.Flags())
	f.Register(cmd.Flags())
	cmd.Flags().SortFlags = false
	return cmd
}

func (a *app) listContainers(ctx context.Context, f *containers.Flags, how *containers.ListFlags) (err error) {
	known, err := f.Open(a.logger, a.Guard)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, known.Close()) }()
	list, err := containers.NewList(a.Out, known, how)
	if err != nil {
		return err
	}
	if how.Watches() {
		known.Prepare()
	}
	known.Start()
	if why := known.WhyNone(); why != "" {
		fmt.Fprintf(a.Err, "gizmo: %s\n", why)
	}
	return list.Run(ctx)
}
