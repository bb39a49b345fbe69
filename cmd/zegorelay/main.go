// Command zegorelay takes RTMP from encoders at a URL that never changes and
// carries each stream to the node that ZEGO names, and on to the next one when
// that node is lost.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"zegorelay/config"
)

// Exit codes. 78 is EX_CONFIG of sysexits.h, which the systemd unit knows not
// to restart for.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	exitConfig = 78
)

// commands is the command line, in the order of --help.
type commands struct {
	Run         runCommand         `cmd:"" default:"1" help:"Relay encoders to ZEGO (the default)."`
	Demo        demoCommand        `cmd:"" help:"Show all of it on this machine, without a ZEGO account."`
	Dispatch    dispatchCommand    `cmd:"" help:"Ask ZEGO once for the nodes of a stream, and print them."`
	Doctor      doctorCommand      `cmd:"" help:"Look at everything between an encoder and ZEGO; exit 1 if something is wrong."`
	Genkey      genkeyCommand      `cmd:"" help:"Print a new stream key, and the entry of the streams file that it is for."`
	Config      configCommands     `cmd:"" help:"Check or print the configuration."`
	Healthcheck healthcheckCommand `cmd:"" help:"Exit 0 if a running zegorelay is ready."`
	Version     versionCommand     `cmd:"" help:"Print the version."`
}

// terminal is where a command's output goes.
type terminal struct {
	out, err io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks; from then on a second one ends the process as if
	// nobody had caught it.
	context.AfterFunc(ctx, stop)
	os.Exit(execute(ctx, os.Args[1:], terminal{out: os.Stdout, err: os.Stderr}))
}

// execute runs one command line and returns the exit code.
func execute(ctx context.Context, args []string, term terminal) int {
	parser, err := kong.New(&commands{},
		kong.Name("zegorelay"),
		kong.Description(description()),
		kong.Writers(term.out, term.err),
		kong.Exit(func(code int) { panic(exit(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{WrapUpperBound: 100}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(term),
	)
	if err != nil {
		panic(err) // the tags above are ours
	}
	return run(parser, args, term)
}

// exit is how --help leaves kong without ending the process.
type exit int

func run(parser *kong.Kong, args []string, term terminal) (code int) {
	defer func() {
		if p := recover(); p != nil {
			e, ok := p.(exit)
			if !ok {
				panic(p)
			}
			code = int(e)
		}
	}()
	command, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(term.err, "zegorelay: %v\nTry 'zegorelay --help'.\n", err)
		return exitUsage
	}
	if err := command.Run(); err != nil {
		if !errors.As(err, new(logged)) {
			fmt.Fprintf(term.err, "zegorelay: %v\n", err)
		}
		return exitCodeOf(err)
	}
	return exitOK
}

// logged is an error that the log has told of. It isn't printed again: the end of
// the program would wait for whoever doesn't read the log.
type logged struct{ error }

func (l logged) Unwrap() error { return l.error }

func exitCodeOf(err error) int {
	var problems config.Problems
	if errors.As(err, &problems) {
		return exitConfig
	}
	return exitFailed
}

// description is the head of --help: what it is, examples, every variable.
func description() string {
	text := "Takes RTMP from encoders at a URL that never changes and carries each stream to ZEGO.\n\n" +
		"Examples:\n" +
		"  zegorelay demo --for 45s\n" +
		"  ZEGORELAY_APP_ID=1234567890 ZEGORELAY_SERVER_SECRET_FILE=/etc/zegorelay/server-secret zegorelay run\n\n" +
		"Configuration comes from the environment:\n"
	for _, v := range config.Variables() {
		text += fmt.Sprintf("  %-34s %s", v.Name, v.Meaning)
		if v.Default != "" {
			text += " [" + v.Default + "]"
		}
		text += "\n"
	}
	return text
}
