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

	"github.com/gizmo-ebpf/gizmo/catalog"
	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/cli/account"
	"github.com/gizmo-ebpf/gizmo/internal/cli/containers"
	"github.com/gizmo-ebpf/gizmo/internal/cli/flags"
	"github.com/gizmo-ebpf/gizmo/internal/cli/heap"
	"github.com/gizmo-ebpf/gizmo/internal/cli/images"
	"github.com/gizmo-ebpf/gizmo/oci"
	"github.com/gizmo-ebpf/gizmo/run"
	"github.com/gizmo-ebpf/gizmo/socket"
	"github.com/gizmo-ebpf/gizmo/stage/sort"
)

// runFlags are the flags of run that do not depend on the gadget.
type runFlags struct {
	events     eventFlags
	annotate   []string
	timeout    flags.Seconds
	record     string
	iface      string
	unwind     string
	failOnLoss bool
	host       bool
	strict     bool
	keepCaps   bool
	containers containers.Flags
	buffers    flags.Buffers
	sockets    flags.SocketFields
	metrics    flags.Metrics
	images     images.RunFlags
	fetch      *flags.Fetch // of the gadget
}

func (f *runFlags) register(fs *pflag.FlagSet) {
	f.events.register(fs, sort.DefaultWindow)
	fs.StringArrayVar(&f.annotate, "annotate", nil, "annotations: DATASOURCE:KEY=VALUE or DATASOURCE.FIELD:KEY=VALUE, with commas between several")
	fs.VarP(&f.timeout, "timeout", "t", "end the run after this many seconds, or a duration like 1m30s; 0: when interrupted")
	fs.StringVar(&f.record, "record", "", "also write the raw events to this file, for gizmo replay")
	fs.BoolVar(&f.failOnLoss, "fail-on-loss", false, fmt.Sprintf("exit with code %d if events were lost", exitLost))
	fs.BoolVar(&f.strict, flagStrict, false, strictUsage)
	fs.String(flagClang, "", clangUsage)
	fs.BoolVar(&f.host, "host", false, "also show events outside containers")
	f.containers.Register(fs)
	fs.StringVar(&f.iface, "iface", "", "network interface to attach the gadget's packet programs to; default: the one that the gadget names")
	fs.StringVar(&f.unwind, "unwind", "fp", "how to find the callers in stacks of processes: fp follows frame pointers; dwarf goes by what files say about their stack frames; auto takes what suits the code")
	f.buffers.Register(fs)
	f.sockets.Register(fs)
	f.metrics.Register(fs)
	f.images.Register(fs)
	fs.BoolVar(&f.keepCaps, "keep-capabilities", false, "keep all capabilities and system calls while the gadget runs, for debugging; without it, gizmo gives up those that the run no longer needs")
	fs.SortFlags = false
}

func (a *app) runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run GADGET [flags]",
		Short: "Run a gadget: a built-in one by name, an image, or the one in a directory",
		Long: "Runs a gadget until Ctrl-C and writes its events. GADGET is the name of a built-in gadget, a\n" +
			"directory with a program.bpf.c or with a gadget.yaml that needs none, an object that was built\n" +
			"from one (image build --object), with the gadget.yaml beside it, the name of an image (docs/images.md),\n" +
			"or a tar file with one.\n\nBuilt-in gadgets: " + strings.Join(catalog.Names(), ", ") +
			"\n\n\"gizmo run GADGET --help\" shows the params and fields of the gadget too.",
		// The flags depend on the gadget, so gizmo finds the gadget first.
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
	// gizmo builds the gadget before it parses the flags, and the build should be logged, too.
	a.verbose = a.verbose || slices.Contains(args, "-v") || slices.Contains(args, "--verbose")
	a.clang = flags.ValueOf(args, flagClang)
	a.setUpLogging()
	name, ok := flags.FirstArgument(cmd, args)
	if !ok {
		return a.withoutGadget(cmd, args)
	}
	warn := a.warnUnless(flags.IsSet(args, flagStrict))
	found, err := a.findToRun(cmd, args, name, warn, f)
	if err != nil {
		return cmp.Or(misplacedFlag(cmd, args, name), err)
	}
	params, custom, err := registerGadget(cmd.Flags(), found.Image, f)
	if err != nil {
		return err
	}
	if err := flags.SetDefaults(cmd.Flags(), found.Image.Metadata.ParamDefaults, warn); err != nil {
		return err
	}
	if err := cmd.ParseFlags(args); err != nil {
		return flagError(cmd, err)
	}
	if help, _ := cmd.Flags().GetBool("help"); help {
		return a.gadgetHelp(cmd, found.Image)
	}
	if err := oneArg("gadget")(cmd, cmd.Flags().Args()); err != nil {
		return err
	}
	if cmd.Flags().Arg(0) != name {
		return fmt.Errorf("put the gadget before its flags: gizmo run GADGET %s", strings.Join(args, " "))
	}
	if found, err = custom.Apply(found); err != nil {
		return err
	}
	return a.runGadget(cmd.Context(), &chosen{name, found, params.Values(), custom, f})
}

// findToRun finds a gadget, also among images.
func (a *app) findToRun(cmd *cobra.Command, args []string, name string, warn func(error), f *runFlags) (*catalog.Gadget, error) {
	early := pflag.NewFlagSet("images", pflag.ContinueOnError)
	f.images.Register(early)
	if err := flags.ParseEarly(early, args); err != nil {
		return nil, err
	}
	c := a.catalog(warn)
	c.Images = func(ctx context.Context, name string) (*oci.Image, error) {
		return f.images.Find(ctx, a.imageEnv(), name)
	}
	return c.Find(cmd.Context(), name)
}

// chosen is a gadget and what the command line says about it.
type chosen struct {
	name   string // as the user gave it
	found  *catalog.Gadget
	params map[string]string
	custom *flags.Custom // already part of the gadget
	flags  *runFlags
}

// withoutGadget handles arguments without a gadget.
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
func registerGadget(fs *pflag.FlagSet, img *image.Image, f *runFlags) (*flags.Params, *flags.Custom, error) {
	for i := range img.DataSources { // before params, one of which may have the same name
		f.events.registerSource(fs, img.DataSources[i].Schema.Name)
	}
	containers, _, err := run.ContainersSource(img)
	if err != nil {
		return nil, nil, err
	}
	if containers != nil {
		f.events.registerSource(fs, containers.Name)
	}
	if !slices.ContainsFunc(img.DataSources, func(d image.DataSource) bool { return d.Settings.NetworkPolicy }) {
		_ = fs.MarkHidden(flagPolicies) // an error if these are the flags of the gadget only
	}
	if !slices.ContainsFunc(img.DataSources, func(d image.DataSource) bool { return d.Settings.Metrics.Print }) {
		_ = fs.MarkHidden(flagPrintInterval)
	}
	f.fetch = flags.RegisterFetch(fs, img)
	params, err := flags.RegisterParams(fs, img)
	if err != nil {
		return nil, nil, err
	}
	custom, err := flags.RegisterCustom(fs, img)
	if err != nil {
		return nil, nil, err
	}
	return params, custom, nil
}

// misplacedFlag returns an error if an unknown flag comes before name, because name may then be the flag's
// value and not a gadget.
func misplacedFlag(cmd *cobra.Command, args []string, name string) error {
	err := cmd.ParseFlags(args[:slices.Index(args, name)])
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return nil
	}
	return fmt.Errorf("%w (the flags of a gadget come after it: gizmo run GADGET %s)", flagError(cmd, err), strings.Join(args, " "))
}

// check returns errors about the flags before gizmo uses the kernel.
func (f *runFlags) check() error {
	if f.record == "-" {
		return errors.New(`--record: "-" is not a file; to write the recording to the standard output, use --record /dev/stdout -o none`)
	}
	return f.buffers.Check()
}

// runGadget runs a gadget that has been found.
func (a *app) runGadget(ctx context.Context, c *chosen) (err error) {
	f := c.flags
	if err := f.check(); err != nil {
		return err
	}
	known, err := f.containers.Open(a.logger, a.Guard)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, known.Close()) }()
	options := a.runOptions(c)
	options.Containers = known.Options(f.host)
	out, err := openOutput(ctx, f.events.file, &options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.end()) }()
	exports, err := f.metrics.Open(version, a.logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, exports.Close()) }()
	options.Metrics = exports.Options()
	start := heap.Begin()
	defer start.End()
	drop := func() {} // set once the gadget is loaded
	options.OnAttached = func() error {
		err := out.begin()
		drop()
		start.Over()
		return err
	}
	plan, err := run.NewPlan(options)
	if err != nil {
		return err
	}
	a.sayWhatIsExported(exports, plan)
	follows := plan.FollowsContainers()
	if flag := f.containers.Selecting(); flag != "" && !follows {
		return fmt.Errorf("--%s: the events of %s do not say which container they are of", flag, c.name)
	}
	if follows {
		known.Prepare()
	}
	r, err := plan.Load(ctx)
	if err != nil {
		return a.nameCompilers(ctx, c, withFlags(err))
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if follows {
		known.Start()
		a.sayWhyNoContainer(known, f.host)
	}
	if !f.keepCaps {
		drop = a.dropAfterAttach(r, follows, f.metrics.Pushes())
	}
	a.work.Store(&atWork{"run " + c.name, r})
	return a.runLoaded(ctx, r, c.found.Image, f, known.End)
}

// runOptions returns the options of all flags.
func (a *app) runOptions(c *chosen) run.Options {
	f := c.flags
	o := a.options(&f.events)
	o.Annotate = f.annotate
	o.Text.Block = f.buffers.Blocks()
	o.Sockets = socket.NewPool(socket.Options{Fields: f.sockets.Fields, Logger: a.logger})
	if f.record != "" {
		o.Record = &run.Recording{Path: f.record, Gadget: c.name, Version: version}
	}
	o.Unwind = f.unwind
	g := run.Gadget{Image: c.found.Image, Params: c.params}
	g.FetchInterval, g.FetchCount = f.fetch.Given()
	g.Load.Interface, g.Load.Reference = f.iface, c.name
	g.Load.Strict = f.strict
	g.Load.KernelTypes = c.found.KernelTypes
	g.Load.AfterPrograms = debug.FreeOSMemory
	g.Load.Logger = a.logger
	f.buffers.Apply(&g.Load)
	o.Gadgets = []run.Gadget{g}
	return o
}

// countRuns makes the kernel count the runs of programs until the function that it returns is called, if the user wants to see them or metrics have them.
func (a *app) countRuns(f *runFlags) (end func(), err error) {
	if f.buffers.NoStats() || !f.buffers.Stats && !f.metrics.Exports() {
		return func() {}, nil
	}
	counting, err := gadget.CountRuns()
	switch {
	case err == nil:
		return func() { _ = counting.Close() }, nil
	case f.buffers.Stats:
		return nil, fmt.Errorf("--stats: %w", err)
	}
	a.logger.Debug("the metrics gizmo.program.runs and gizmo.program.run.time stay as they are", "error", err)
	return func() {}, nil
}

// runLoaded moves the events of a gadget that is in the kernel, and then prints the kernel's counts. It calls ending when the
// run has been told to end.
func (a *app) runLoaded(ctx context.Context, r *run.Run, img *image.Image, f *runFlags, ending func()) error {
	counting, err := a.countRuns(f)
	if err != nil {
		return err
	}
	defer counting()
	if f.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(f.timeout))
		defer cancel()
		defer context.AfterFunc(ctx, a.hurry)()
	}
	defer context.AfterFunc(ctx, ending)()
	defer a.sayWhatIsWaitedFor(r, img, &f.events)()
	err = a.finish(r, withFlags(r.Run(ctx)), f.failOnLoss)
	if run.IsReaderGone(err) {
		return err
	}
	lost, lostErr := r.StackLosses()
	account.Stacks(a.Err, lost)
	stats, statsErr := r.Stats()
	if f.buffers.Stats {
		statsErr = errors.Join(statsErr, account.Stats(a.Err, stats))
	}
	account.Missed(a.Err, stats)
	return errors.Join(err, lostErr, statsErr)
}
