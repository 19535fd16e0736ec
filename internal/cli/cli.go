// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package cli is the command line. It has one file for each command, which turns flags into options.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/gizmo-ebpf/gizmo/build"
	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/internal/cli/images"
	"github.com/gizmo-ebpf/gizmo/internal/cli/stdio"
	"github.com/gizmo-ebpf/gizmo/internal/plain"
	"github.com/gizmo-ebpf/gizmo/internal/stdstreams"
	"github.com/gizmo-ebpf/gizmo/run"
)

// Streams are the input and outputs of a command, and say what it may do to the process.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	// DropPrivileges: the process runs only this command, which may give up capabilities and system calls of all its
	// threads.
	DropPrivileges bool
	// Guard is the command that runs containers.Guard. Nil: the command sees no container before its runtime reports it.
	Guard []string
}

// The exit codes of the program.
const (
	exitOK     = 0
	exitFailed = 1
	// exitLost is the exit code of a run with --fail-on-loss that lost events and had no other error.
	exitLost = 3
)

// app holds the state that the commands of one invocation share.
type app struct {
	Streams
	// page is Out for everything except events: help, tables, answers. It shows invisible characters as escapes.
	page    io.Writer
	verbose bool
	logger  *slog.Logger
	began   time.Time
	work    atomic.Pointer[atWork]
	// hurry makes gizmo drop messages for which standard error has no room.
	hurry func()
	// talks: standard output and standard error are terminals.
	talks bool
	clang string // the compiler that the user wants
}

// Main runs the program with the given arguments and returns its exit code.
func Main(args []string, streams Streams) int {
	a := &app{Streams: streams, began: time.Now(), talks: stdio.IsTerminal(streams.Out) && stdio.IsTerminal(streams.Err)}
	messages, page := stdio.NewMessages(streams.Err), plain.Writer(streams.Out)
	defer func() { _ = errors.Join(page.Close(), messages.Close()) }() // for text that ends within a character
	a.Err, a.hurry, a.page = messages, messages.Hurry, page
	if a.Out == io.Writer(os.Stdout) && stdstreams.OutputClosed() {
		return a.report(stdio.ErrClosed)
	}
	// A closed pipe must be an error, not a signal that kills gizmo: `| head` ends a run in good order.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := stdio.Listen(a.printState)
	defer stop()
	defer context.AfterFunc(ctx, a.hurry)()

	root := a.rootCommand()
	root.SetArgs(plainWords(args))
	return a.report(root.ExecuteContext(ctx))
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "gizmo",
		Short:         "Build and run gadgets: eBPF programs that show what a host is doing",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(a.In)
	root.SetOut(a.page)
	root.SetErr(a.Err)
	root.PersistentFlags().BoolVarP(&a.verbose, "verbose", "v", false, "log more on standard error: the verifier's whole log, the use of the cache, the ledger")
	root.PersistentPreRun = func(*cobra.Command, []string) { a.setUpLogging() }
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(a.runCommand(), a.replayCommand(), a.diffCommand(), a.imageCommand(), a.listContainersCommand(),
		images.LoginCommand(a.imageEnv()), images.LogoutCommand(a.imageEnv()), a.versionCommand())
	addUsualCommands(root)
	return root
}

// setUpLogging writes debug lines to standard error if the user set --verbose.
func (a *app) setUpLogging() {
	level := slog.LevelWarn
	if a.verbose {
		level = slog.LevelDebug
	}
	a.logger = slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: level}))
	slog.SetDefault(a.logger)
}

// errLost is the error of a run with --fail-on-loss that lost events.
var errLost = errors.New("events were lost")

// report prints an error and returns its exit code.
func (a *app) report(err error) int {
	var compile *build.CompileError
	var verifier *gadget.VerifierError
	switch {
	case err == nil:
		return exitOK
	case run.IsReaderGone(err):
		return exitOK
	case errors.Is(err, errLost):
		fmt.Fprintf(a.Err, "gizmo: %s\n", plain.Message(err))
		return exitLost
	case errors.As(err, &compile):
		fmt.Fprint(a.Err, compile.Output)
	}
	told := make(map[string]bool)
	for _, e := range plain.Parts(err) {
		if message := inFlags(e); !told[message] {
			told[message] = true
			fmt.Fprintf(a.Err, "gizmo: %s\n", message)
		}
	}
	if errors.As(err, &verifier) {
		a.printVerifierLog(verifier)
	}
	return exitFailed
}

// inFlags returns the message of an error with the flags of the command line in place of the library's options.
func inFlags(err error) string {
	message := plain.Message(err)
	if errors.Is(err, run.ErrTerminal) {
		message += " (--output-file FILE)"
	}
	var option *run.OptionError
	if errors.As(err, &option) {
		text := plain.Message(option)
		return strings.Replace(message, text, "--"+text, 1)
	}
	if errors.Is(err, run.ErrRecord) {
		return strings.Replace(message, run.ErrRecord.Error()+": ", "--record: ", 1)
	}
	return message
}

func (a *app) printVerifierLog(e *gadget.VerifierError) {
	if !a.verbose {
		fmt.Fprintf(a.Err, "gizmo: run with -v for the verifier's log (%d lines)\n", len(e.Log))
		return
	}
	for _, line := range e.Log {
		fmt.Fprintln(a.Err, line)
	}
}
