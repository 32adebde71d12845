"""`cnn zoo`: the networks that come with cnncli."""

from __future__ import annotations

from cnncli.cli.console import print_json, print_line, print_page
from cnncli.cli.options import Json, Markdown


def zoo_cli(markdown: Markdown = False, as_json: Json = False) -> None:
    """List the networks that come with cnncli: parameters, MACs, accuracy and source of each.

    Example: cnn zoo
    """
    from cnncli.analysis.zoo import exhibits
    from cnncli.report.zoo import zoo_table

    networks = list(exhibits())
    if as_json:
        print_json({"configs": [exhibit.to_json() for exhibit in networks]})
    elif markdown:
        print_line(zoo_table(networks).markdown())
    else:
        print_page(zoo_table(networks))
