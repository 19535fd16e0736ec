// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/internal/builtin"
	"github.com/gizmo-ebpf/gizmo/stage/sort"
)

// runFlags are the flags of run that do not depend on the gadget.
type runFlags struct {
	events     eventFlags
	annotate   []string
	timeout    seconds
	record     string
	iface      string
	failOnLoss bool
	host       bool
	strict     bool
	buffers    bufferFlags
	fetch      *fetchFlags // of the gadget
}

func (f *runFlags) register(fs *pflag.FlagSet) {
	f.events.register(fs, sort.DefaultWindow)
	fs.StringArrayVar(&f.annotate, "annotate", nil, "annotations: DATASOURCE:KEY=VALUE or DATASOURCE.FIELD:KEY=VALUE, with commas between several")
	fs.VarP(&f.timeout, "timeout", "t", "end the run after this many seconds, or a duration like 1m30s; 0: when interrupted")
	fs.StringVar(&f.record, "record", "", "also write the raw events to this file, for gizmo replay")
	fs.BoolVar(&f.failOnLoss, "fail-on-loss", false, fmt.Sprintf("exit with code %d if events were lost", exitLost))
	fs.BoolVar(&f.strict, flagStrict, false, strictUsage)
	fs.String(flagClang, "", clangUsage)
	fs.BoolVar(&f.host, "host", false, "also show events of no container; this version knows no containers, so all events are shown anyway")
	fs.StringVar(&f.iface, "iface", "", "network interface to attach the gadget's programs for packets to; without it, the gadget's own choice")
	f.buffers.register(fs)
	fs.SortFlags = false
}

func (a *app) runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run GADGET [flags]",
		Short: "Run a gadget: a built-in one by name, or the one in a directory",
		Long: "Runs a gadget until Ctrl-C and writes its events. GADGET is the name of a built-in gadget, a\n" +
			"directory with a program.bpf.c, or an object that was built from one (image build --object),\n" +
			"with the gadget.yaml beside it.\n\nBuilt-in gadgets: " + strings.Join(builtin.Gadgets(), ", ") +
			"\n\n\"gizmo run GADGET --help\" shows the params and fields of the gadget too.",
		// Which flags there are depends on the gadget, so the gadget is found first.
		DisableFlagParsing: true,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			return a.completeRun(cmd, args, word, &f)
		},
	}
	f.register(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return a.parseAndRun(cmd, args, &f) }
	return cmd
}

// parseAndRun finds the gadget among the arguments, adds its flags and parses them all.
func (a *app) parseAndRun(cmd *cobra.Command, args []string, f *runFlags) error {
	cmd.DisableFlagParsing = false
	cmd.InitDefaultHelpFlag()
	// Building the gadget comes before the flags are parsed and should be told of, too.
	a.verbose = a.verbose || slices.Contains(args, "-v") || slices.Contains(args, "--verbose")
	a.clang = valueOf(args, flagClang)
	a.setUpLogging()
	name, found := firstArgument(cmd, args)
	if !found {
		return a.withoutGadget(cmd, args)
	}
	warn := a.warnUnless(slices.Contains(args, "--"+flagStrict))
	img, warn, err := a.findGadget(cmd.Context(), name, warn)
	if err != nil {
		return cmp.Or(misplacedFlag(cmd, args, name), err)
	}
	params, custom, err := registerGadget(cmd.Flags(), img, f)
	if err != nil {
		return err
	}
	if err := setParamDefaults(cmd.Flags(), img.Metadata.ParamDefaults, warn); err != nil {
		return err
	}
	if err := cmd.ParseFlags(args); err != nil {
		return flagError(cmd, err)
	}
	if help, _ := cmd.Flags().GetBool("help"); help {
		return a.gadgetHelp(cmd, img)
	}
	if err := oneArg("gadget")(cmd, cmd.Flags().Args()); err != nil {
		return err
	}
	if cmd.Flags().Arg(0) != name {
		return fmt.Errorf("put the gadget before its flags: gizmo run GADGET %s", strings.Join(args, " "))
	}
	values, err := params.values()
	if err != nil {
		return err
	}
	if img, err = custom.apply(img, warn); err != nil {
		return err
	}
	return a.runGadget(cmd.Context(), name, img, values, f)
}

// withoutGadget answers arguments among which there is no gadget.
func (a *app) withoutGadget(cmd *cobra.Command, args []string) error {
	if err := cmd.ParseFlags(args); err != nil {
		return flagError(cmd, err)
	}
	if help, _ := cmd.Flags().GetBool("help"); help {
		return cmd.Help()
	}
	return oneArg("gadget")(cmd, nil)
}

// registerGadget adds the flags that depend on the gadget.
func registerGadget(fs *pflag.FlagSet, img *gadget.Image, f *runFlags) (*paramFlags, *customFlags, error) {
	f.fetch = registerFetch(fs, img)
	params, err := registerParams(fs, img)
	if err != nil {
		return nil, nil, err
	}
	custom, err := registerCustom(fs, img)
	if err != nil {
		return nil, nil, err
	}
	for i := range img.DataSources {
		f.events.stages.registerSource(fs, img.DataSources[i].Schema.Name)
	}
	return params, custom, nil
}

// misplacedFlag returns an error if a flag that is not known as yet stands before name, which then
// may be its value and no gadget.
func misplacedFlag(cmd *cobra.Command, args []string, name string) error {
	err := cmd.ParseFlags(args[:slices.Index(args, name)])
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return nil
	}
	return fmt.Errorf("%w (the flags of a gadget come after it: gizmo run GADGET %s)", flagError(cmd, err), strings.Join(args, " "))
}

// firstArgument returns the first argument that is neither a flag nor the value of one.
func firstArgument(cmd *cobra.Command, args []string) (string, bool) {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			if i+1 < len(args) {
				return args[i+1], true
			}
			return "", false
		case arg == "-" || !strings.HasPrefix(arg, "-"):
			return arg, true
		case takesNextArgument(cmd, arg):
			i++
		}
	}
	return "", false
}

// takesNextArgument reports whether arg is a known flag, or ends in one, whose value is the argument
// after it.
func takesNextArgument(cmd *cobra.Command, arg string) bool {
	if name, long := strings.CutPrefix(arg, "--"); long {
		return takesValue(cmd.Flag(name)) // none has a name with "="
	}
	for i := 1; i < len(arg); i++ {
		flag := cmd.Flags().ShorthandLookup(arg[i : i+1])
		if flag == nil {
			flag = cmd.InheritedFlags().ShorthandLookup(arg[i : i+1])
		}
		if takesValue(flag) {
			return i == len(arg)-1 // else the rest of arg is the value
		}
	}
	return false
}

func takesValue(f *pflag.Flag) bool { return f != nil && f.NoOptDefVal == "" }

// runGadget runs an image that has been found, with params that have been checked.
func (a *app) runGadget(ctx context.Context, name string, img *gadget.Image, values map[string]gadget.Value, f *runFlags) (err error) {
	host := builtin.NewHost()
	defer host.Close()
	s := &session{app: a, flags: &f.events, failOnLoss: f.failOnLoss, dropSlow: f.buffers.slow == dropEvents}
	if err := s.annotate(img, f.annotate); err != nil {
		return err
	}
	// Everything that can be wrong with the flags is found before the kernel is asked for anything.
	if err := s.check(img, &host.Env); err != nil {
		return err
	}
	options, err := f.loadOptions(img, s, values)
	if err != nil {
		return err
	}
	g, err := load(img, options)
	if err != nil {
		return a.nameOtherCompiler(ctx, name, img, options, err)
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	s.sources = append(s.sources, g.Sources()...)
	var rec *recording // nil: none
	if f.record != "" {
		if rec, err = openRecording(ctx, f.record, name, s, host); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rec.Close()) }()
		s.stages = append(s.stages, rec)
	}
	if err := s.bind(&host.Env); err != nil {
		return err
	}
	s.start, s.stop = func() error { return begin(g, rec, host) }, func() { _ = g.Detach() }
	return a.runLoaded(ctx, s, g, f)
}

// load puts the gadget into the kernel. Next to nothing of what that takes can be freed before its end,
// when all is returned, so the garbage collector need not look for it: that would take a tenth of the
// start's processor time.
func load(img *gadget.Image, o *gadget.LoadOptions) (*gadget.Gadget, error) {
	percent := debug.SetGCPercent(-1)
	defer debug.SetGCPercent(percent)
	return img.Load(o)
}

// begin attaches the gadget. Only when that has succeeded an older recording is overwritten; events wait
// meanwhile.
func begin(g *gadget.Gadget, rec *recording, host *builtin.Host) error {
	if err := g.Attach(); err != nil {
		return err
	}
	if rec != nil {
		if err := rec.begin(host); err != nil {
			return err
		}
	}
	host.Watch()
	return nil
}

// loadOptions are the choices of the run that concern the kernel.
func (f *runFlags) loadOptions(img *gadget.Image, s *session, values map[string]gadget.Value) (*gadget.LoadOptions, error) {
	if err := f.buffers.check(); err != nil {
		return nil, err
	}
	fetches, err := f.fetch.fetches(img, s.specs)
	if err != nil {
		return nil, err
	}
	options := &gadget.LoadOptions{Params: values, Fetch: fetches, Interface: f.iface, Strict: f.strict, ReturnMemory: true}
	f.buffers.apply(options)
	return options, nil
}

// runLoaded moves the events of a gadget that is in the kernel, and then tells what the kernel
// counted.
func (a *app) runLoaded(ctx context.Context, s *session, g *gadget.Gadget, f *runFlags) error {
	if f.buffers.stats {
		counting, err := gadget.CountRuns()
		if err != nil {
			return fmt.Errorf("--stats: %w", err)
		}
		defer counting.Close()
	}
	if f.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(f.timeout))
		defer cancel()
	}
	err := s.run(ctx)
	if isReaderGone(err) {
		return err
	}
	stats, statsErr := g.Stats()
	if f.buffers.stats {
		statsErr = errors.Join(statsErr, printStats(a.Err, stats))
	}
	printMissed(a.Err, stats)
	return errors.Join(err, statsErr)
}
