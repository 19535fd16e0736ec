// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/catalog"
	"github.com/gizmo-ebpf/gizmo/internal/cli/flags"
	"github.com/gizmo-ebpf/gizmo/internal/plain"
)

// plainWords returns the arguments of the program, with escapes in those for completion: if the library does not understand them, it writes
// them directly to standard error, not through the writers of Main.
func plainWords(args []string) []string {
	if len(args) == 0 || !strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
		return args
	}
	words := make([]string, len(args))
	for i, arg := range args {
		words[i] = plain.Text(arg)
	}
	return words
}

// completeRun returns the completions of the last word after "run", except the flags that all gadgets have:
// the library completes those.
func (a *app) completeRun(cmd *cobra.Command, args []string, word string, f *runFlags) ([]string, cobra.ShellCompDirective) {
	var own []string
	name, found := flags.FirstArgument(cmd, args)
	if found {
		own = a.completeFlags(cmd, name, word, f)
	}
	switch {
	case isValue(cmd, args):
		return nil, cobra.ShellCompDirectiveDefault // it may be a file
	case strings.HasPrefix(word, "-"):
		return own, cobra.ShellCompDirectiveNoFileComp
	case found:
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return catalog.Names(), cobra.ShellCompDirectiveDefault
}

// isValue reports whether the word after args is the value of a flag.
func isValue(cmd *cobra.Command, args []string) bool {
	if len(args) == 0 {
		return false
	}
	last := args[len(args)-1]
	return strings.HasPrefix(last, "-") && flags.TakesNext(cmd, last)
}

// completeFlags adds the flags of a gadget to the command, and returns those that begin with word. If the
// gadget cannot be found or built, it returns none.
func (a *app) completeFlags(cmd *cobra.Command, name, word string, f *runFlags) []string {
	g, err := a.catalog(func(error) {}).Find(cmd.Context(), name)
	if err != nil {
		return nil
	}
	own := pflag.NewFlagSet(name, pflag.ContinueOnError)
	if _, _, err := registerGadget(own, g.Image, f); err != nil {
		return nil
	}
	cmd.Flags().AddFlagSet(own)
	var list []string
	own.VisitAll(func(flag *pflag.Flag) {
		if long := "--" + flag.Name; !flag.Hidden && strings.HasPrefix(long, word) {
			list = append(list, cobra.CompletionWithDesc(long, flag.Usage))
		}
	})
	return list
}
