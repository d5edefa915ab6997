"""Methods that choose which experiments to run, under a budget of cost (protocol `active:B`)."""
